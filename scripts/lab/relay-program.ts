/**
 * One end of a way into a namespace (relay.ts):
 *
 *   relay-program.js SOCKET ADDRESS PORT [CERTIFICATE AUTHORITY NAME]
 *
 * What comes in by the Unix socket, which is the same file in every namespace, goes on to the address; over TLS with three more arguments.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const [path, host, port, certificate, authority, servername] = process.argv.slice(2);

function onward(): Socket {
  const to = { host, port: Number(port) };
  if (certificate === undefined) return connect(to);
  const own = readFileSync(certificate);
  return connectTls({ ...to, cert: own, key: own, ca: readFileSync(authority!), servername });
}

createServer((socket) => {
  const other = onward();
  for (const [from, to] of [
    [socket, other],
    [other, socket],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}).listen(path, () => console.log('listening'));
