/**
 * The host's own traffic beside an engine: a TCP or UDP socket that sends back what it gets, and its client.
 *
 *   echo-process.js tcp|udp serve|ask ADDRESS
 */
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const PORT = 7007;
const [protocol, role, address = ''] = process.argv.slice(2);

if (protocol === 'tcp' && role === 'serve') {
  createServer((socket) => socket.pipe(socket)).listen(PORT, address, () => console.log('ready'));
} else if (protocol === 'tcp') {
  const socket = connect(PORT, address, () => socket.write('hello'));
  socket.setTimeout(3000, () => process.exit(1));
  socket.on('data', (data) => {
    console.log(String(data));
    socket.destroy();
  });
} else {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  if (role === 'serve') {
    socket.on('message', (data, { port, address }) => socket.send(data, port, address));
    socket.bind(PORT, address, () => console.log('ready'));
  } else {
    socket.send('hello', PORT, address);
    socket.on('message', (data) => {
      console.log(String(data));
      socket.close();
    });
    setTimeout(() => process.exit(1), 3000).unref();
  }
}
