/**
 * Numbered datagrams between a client and a backend:
 *
 *   datagrams.js serve PORT ADDRESS...   sends back what comes in, from the address that it was sent to
 *   datagrams.js ask PORT ADDRESS...     sends to each address every 2 ms until SIGTERM, then prints one JSON line a address:
 *                                        {address, sent, gaps: [[first, last], ...]}, the send times of what was lost, in ms of the wall clock
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const INTERVAL_MS = 2;
/** For the last answers. */
const LATE_MS = 300;

const [what, port = '', ...addresses] = process.argv.slice(2);
const socketFor = (address: string): Socket => createSocket(isIPv6(address) ? 'udp6' : 'udp4');

if (what === 'serve') {
  for (const address of addresses) {
    const socket = socketFor(address);
    socket.on('message', (data, { address: to, port: at }) => socket.send(data, at, to));
    socket.bind(Number(port), address);
    await once(socket, 'listening');
  }
  console.log('listening');
} else {
  let stopped = false;
  process.once('SIGTERM', () => (stopped = true));
  await Promise.all(addresses.map(ask));
  process.exit();

  async function ask(address: string): Promise<void> {
    const socket = socketFor(address);
    // Nobody answers for the address yet.
    socket.on('error', () => {});
    const sent: number[] = [];
    const missing = new Set<number>();
    socket.on('message', (data) => {
      if (missing.size === sent.length) console.log(`answered ${address}`);
      missing.delete(data.readUInt32BE());
    });
    while (!stopped) {
      const now = performance.timeOrigin + performance.now();
      const data = Buffer.alloc(4);
      data.writeUInt32BE(sent.length);
      missing.add(sent.length);
      sent.push(now);
      socket.send(data, Number(port), address, () => {});
      await delay(INTERVAL_MS);
    }
    await delay(LATE_MS);
    const gaps: [number, number][] = [];
    let last = -2;
    for (const number of [...missing].sort((x, y) => x - y)) {
      if (number === last + 1) gaps.at(-1)![1] = sent[number]!;
      else gaps.push([sent[number]!, sent[number]!]);
      last = number;
    }
    console.log(JSON.stringify({ address, sent: sent.length, lost: missing.size, gaps }));
  }
}
