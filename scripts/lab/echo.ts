/**
 * TCP of machines with each other, beside what anyhop forwards:
 *
 *   echo.js serve PORT               sends back what comes in on any address
 *   echo.js ask PORT ADDRESS...      asks each address over and over until SIGTERM, then prints one JSON line
 *
 * Asking goes on over one connection that is kept, and over others that are closed after ECHOES.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { EchoResult } from './own-traffic.js';

const ECHOES = 10;
const INTERVAL_MS = 20;
/** Room for lost packets to be sent again, 1 s for a SYN, and for a busy machine. */
const ANSWER_TIMEOUT_MS = 5_000;

const [what, port = '', ...addresses] = process.argv.slice(2);
if (what === 'serve') {
  createServer((socket) => {
    socket.on('error', () => socket.destroy()); // who asked ended first
    socket.pipe(socket);
  }).listen(Number(port), '::', () => console.log('listening'));
} else {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const results = await Promise.all(addresses.map((address) => ask(address, stop.signal)));
  console.log(JSON.stringify(results));
}

async function ask(address: string, stop: AbortSignal): Promise<EchoResult> {
  const result = { address, echoes: 0, connections: 0, failures: [] as string[] };
  const open = async (): Promise<Socket> => {
    const socket = connect(Number(port), address);
    await within(once(socket, 'connect'));
    result.connections += 1;
    return socket;
  };
  const echo = async (socket: Socket): Promise<void> => {
    const text = `${result.echoes}`;
    const answer = once(socket, 'data');
    socket.write(text);
    const [data] = await within(answer);
    if (String(data) !== text) throw new Error(`sent ${text}, got ${data}`);
    result.echoes += 1;
  };
  let kept: Socket | undefined;
  let told = false;
  while (!stop.aborted) {
    let socket: Socket | undefined;
    try {
      kept ??= await open();
      socket = await open();
      for (let i = 0; i < ECHOES && !stop.aborted; i++) {
        await echo(kept);
        await echo(socket);
        if (!told) console.log(`answered ${address}`);
        told = true;
        await delay(INTERVAL_MS);
      }
    } catch (error) {
      result.failures.push((error as Error).message);
      kept?.destroy();
      kept = undefined;
      await delay(INTERVAL_MS);
    } finally {
      socket?.destroy();
    }
  }
  kept?.destroy();
  return result;
}

async function within<T>(work: Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const late = delay(ANSWER_TIMEOUT_MS, undefined, { signal: timeout.signal }).then(() => {
    throw new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timeout.abort();
    late.catch(() => {}); // it lost the race
  }
}
