/**
 * Sockets of a host, for tests of what reaches them: UDP and TCP on PORT, of every address. Prints `ready`, then `got PORT` for each
 * datagram, by its source port.
 *
 *   sink-process.js PORT
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const port = Number(process.argv[2]);
const socket = createSocket('udp6');
socket.on('message', (_, { port: from }) => console.log(`got ${from}`));
const server = createServer((connection) => connection.destroy());
await new Promise<void>((resolve) => socket.bind(port, resolve));
server.listen(port);
await once(server, 'listening');
console.log('ready');
