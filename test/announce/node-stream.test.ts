/** What `anyhop announce` makes of the lines of a node's stream: whole ones, short ones, and those that no node sends. */
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { NodeStream } from '#anyhop/announce/node-stream.js';
import type { FollowLine } from '#anyhop/api/follow.js';
import { Resources } from '../../scripts/lab/resources.js';

const WAIT_MS = 10_000;
const SAME = { line: 2, same: true };

const whole = (reason: string, line = 1): FollowLine => ({
  node: 'edge-1',
  version: '1.0.0',
  pid: 1,
  startedAt: '2024-05-01T12:00:00.000Z',
  line,
  phase: 'serving',
  reasons: [reason],
  vips: [],
  pools: {},
});

let resources: Resources;
let server: ReturnType<typeof createServer>;
/** Of the node, the latest last. */
let streams: ServerResponse[];
let stream: NodeStream;
/** What was heard: a reason of a whole line, "again", or why the stream ended. */
let heard: string[];

beforeEach(async () => {
  resources = new Resources();
  streams = [];
  heard = [];
  server = createServer((_, response) => {
    response.flushHeaders();
    streams.push(response);
  });
  const socket = join(resources.directory, 'node.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  stream = new NodeStream(socket, {
    heard: ({ reasons }) => heard.push(reasons[0]!),
    heardAgain: () => heard.push('again'),
    lost: (why) => heard.push(why),
  });
  await until(() => streams.length === 1, 'nobody follows');
});
afterEach(async () => {
  stream.close();
  server.closeAllConnections();
  server.close();
  await resources.close();
});

const send = (...values: unknown[]): boolean =>
  streams.at(-1)!.write(values.map((value) => `${JSON.stringify(value)}\n`).join(''));

async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + WAIT_MS;
  while (!holds()) {
    assert.ok(performance.now() < endMs, `${what}: ${heard.join('; ')}`);
    await delay(5);
  }
}

async function hears(...all: (string | RegExp)[]): Promise<void> {
  await until(() => heard.length >= all.length, 'too little is heard');
  for (const [i, one] of all.entries()) assert.match(heard[i]!, new RegExp(one));
  assert.equal(heard.length, all.length);
}

it('a short line says that the whole one before still holds, also with fields that are not known', async () => {
  send(whole('first'), SAME, { ...SAME, line: 3, more: 'of a later version' });
  await hears('first', 'again', 'again');
  send(whole('second', 4), { ...SAME, line: 5 });
  await hears('first', 'again', 'again', 'second', 'again');
});

it('a whole line that comes again is heard as any other', async () => {
  send(whole('first'), whole('first', 2));
  await hears('first', 'first');
});

it('a stream that begins with a short line is no stream of a node, also when the one before had a whole line', async () => {
  send(whole('first'));
  await hears('first');
  streams[0]!.end();
  await until(() => streams.length === 2, 'it does not follow again');
  send(SAME);
  await hears('first', /^the stream ended$/, /^its first line says that nothing has changed$/);
});

for (const [what, line] of [
  ['says that something is not the same', { line: 2, same: false }],
  ['has no number', { same: true }],
  ['counts from 0', { line: 0, same: true }],
] as const) {
  it(`a short line that ${what} ends the stream`, async () => {
    send(whole('first'), line);
    await hears('first', /^a line has a wrong (same|line): /);
  });
}
