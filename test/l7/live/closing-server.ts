/** A server that keeps connections as HTTP/1.1 says, but closes each after one answer, a moment later and without a word about it. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type CallContext, callable } from '../../../scripts/lab/l7/call.js';

export interface ClosingPlan {
  readonly address: string;
  readonly port: number;
  /** It closes after 0 to so many ms. */
  readonly waitsMsMax: number;
}

export const CLOSING_SERVER = callable(import.meta.url, 'serveAndClose', serveAndClose);
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** Requests are small, so each comes in one piece, or the next begins a piece. Resolves to their methods and paths, in their order. */
export async function serveAndClose(
  { address, port, waitsMsMax }: ClosingPlan,
  { stop, print }: CallContext,
): Promise<string[]> {
  const asked: string[] = [];
  let connections = 0;
  const serve = (socket: Socket): void => {
    connections += 1;
    const waitsMs = connections % (waitsMsMax + 1);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const line = /^([A-Z]+ \/\S*) HTTP\/1\.1\r\n/.exec(bytes.toString('latin1'))?.[1];
      if (line === undefined) return; // the body
      asked.push(line);
      socket.write(ANSWER);
      void delay(waitsMs).then(() => socket.destroy());
    });
  };
  createServer(serve).listen(port, address, () => print({ event: 'listening' }));
  await once(stop, 'abort');
  return asked;
}
