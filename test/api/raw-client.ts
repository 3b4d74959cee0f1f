/** Clients of a control socket that send what they like, and the check that others are answered all the same. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { ask } from './fake-node.js';

/** Longer than an answer takes behind 300 others on a busy machine, shorter than the server's own time limits. */
const AT_ONCE_MS = 2_500;

export interface RawClient {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: Promise<void>;
}

/** A connection on which `bytes` are sent, and what comes back. */
export function rawClient(path: string, bytes: string | Buffer = ''): RawClient {
  const socket = connect(path);
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => undefined); // closed on us: that is its answer
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (bytes !== '') socket.write(bytes);
  return { socket, received: () => text, closed };
}

/** One that asks and never reads: nothing listens for what comes. */
export function deafClient(path: string, bytes: string | Buffer = ''): RawClient {
  const socket = connect(path);
  socket.on('error', () => undefined).pause();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(bytes);
  return { socket, received: () => '', closed };
}

export async function answersAtOnce(path: string, asked = '/status'): Promise<void> {
  const start = performance.now();
  assert.equal((await ask(path, asked)).status, 200, asked);
  const ms = performance.now() - start;
  assert.ok(ms < AT_ONCE_MS, `an answer took ${ms.toFixed(0)} ms`);
}
