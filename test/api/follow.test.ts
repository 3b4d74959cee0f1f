/** Following a node over its control socket: who reads gets every change, and who does not costs nobody else anything. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Feed, unnumbered } from '#anyhop/api/followers.js';
import {
  CONTROL_CONNECTIONS_MAX,
  FOLLOW_LINE_MS,
  FOLLOW_SILENCE_MS,
  FOLLOWERS_MAX,
} from '#anyhop/core/limits.js';
import { ask, type FakeNode, fakeNode } from './fake-node.js';
import { type FollowClient, follow } from './follow-client.js';
import { answersAtOnce, deafClient, type RawClient, rawClient } from './raw-client.js';

const FOLLOW = 'GET /follow HTTP/1.1\r\nhost: x\r\n\r\n';
/** More than the kernel keeps for who does not read. */
const LARGE = 'x'.repeat(1024 * 1024);

/** A node whose line a test sets. */
class TestFeed implements Feed {
  readonly #listeners = new Set<() => void>();
  #line = unnumbered({ reasons: ['first'] });

  current(): Uint8Array {
    return this.#line;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get followers(): number {
    return this.#listeners.size;
  }

  say(reason: string, more = ''): void {
    this.#line = unnumbered({ reasons: [reason], more });
    this.again();
  }

  /** Something may have changed, and has not. */
  again(): void {
    for (const listener of this.#listeners) listener();
  }
}

let feed: TestFeed;
let node: FakeNode;
let clients: (RawClient | FollowClient)[];
beforeEach(async () => {
  feed = new TestFeed();
  clients = [];
  node = await fakeNode({ follow: () => feed });
});
afterEach(async () => {
  for (const client of clients) 'socket' in client ? client.socket.destroy() : client.close();
  await node.close();
});

async function follower(): Promise<FollowClient> {
  const client = await follow(node.socket);
  clients.push(client);
  return client;
}

const said = ({ lines }: FollowClient): string[] => lines.map(({ reasons }) => reasons[0]!);
const says =
  (reason: string) =>
  ({ reasons }: { reasons: readonly string[] }) =>
    reasons[0] === reason;

async function until(holds: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!holds()) {
    assert.ok(performance.now() < endMs, what);
    await delay(5);
  }
}

/** In buffers, garbage excluded. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().arrayBuffers;
}

describe('following a node', () => {
  it('gives a whole line at once and after each change, and a short one each second, numbered from 1', async () => {
    const one = await follower();
    await one.line('first', says('first'));
    feed.say('second');
    const { atMs } = await one.line('second', says('second'));
    const startMs = performance.now();
    await until(() => one.lines.length >= 4, 'no line without a change');
    assert.ok(performance.now() - startMs >= FOLLOW_LINE_MS / 2);
    assert.ok(atMs < startMs);
    assert.deepEqual(
      one.lines.map(({ line }) => line),
      one.lines.map((_, i) => i + 1),
    );
    const whole = one.lines.filter(({ same }) => same === undefined);
    assert.deepEqual(
      whole.map(({ reasons }) => reasons[0]),
      ['first', 'second'],
    );
    feed.say('first');
    await one.line('as it was before', says('first'), one.lines.length);
    assert.equal(one.lines.at(-1)?.same, undefined, 'a change back is a change');
  });

  it('gives a whole line first to who comes later, however long nothing has changed', async () => {
    const one = await follower();
    await one.line('short', ({ line }) => line >= 2);
    const other = await follower();
    await other.line('first', says('first'));
    assert.deepEqual([other.lines[0]?.line, other.lines[0]?.same], [1, undefined]);
  });

  it('tells of many changes in one turn once, and of none that is none', async () => {
    const one = await follower();
    await one.line('first', says('first'));
    for (let i = 0; i < 100; i++) feed.say(`change ${i}`);
    await one.line('the last change', says('change 99'));
    assert.deepEqual(said(one), ['first', 'change 99']);
    for (let i = 0; i < 100; i++) {
      feed.again();
      await delay(1);
    }
    // At most what comes each second.
    assert.ok(one.lines.length <= 5, said(one).join());
  });

  it('comes in one piece of JSON a line, as a stream that no cache keeps', async () => {
    const raw = rawClient(node.socket, FOLLOW);
    clients.push(raw);
    await until(() => raw.received().includes('first'), 'no line');
    assert.match(raw.received(), /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(raw.received(), /content-type: application\/x-ndjson/i);
    assert.match(raw.received(), /cache-control: no-store/i);
    assert.match(raw.received(), /transfer-encoding: chunked/i);
    assert.match(raw.received().replaceAll(/\r\n[0-9a-f]+\r\n/g, ''), /\{"line":1,"reasons":\["first"\]\}\n/);
    await until(() => raw.received().includes('"same"'), 'no short line');
    assert.match(
      raw.received().replaceAll(/\r\n[0-9a-f]+\r\n/g, ''),
      /\]\}\n(\r\n[0-9a-f]+\r\n)*\{"line":2,"same":true\}\n/,
    );
  });

  it('outlasts the time that other answers have', async () => {
    const one = await follower();
    await delay(6_000); // TRANSFER_TIMEOUT_MS of the responder is 5 s
    feed.say('late');
    await one.line('late', says('late'));
  });

  it('is refused to more than a few at a time, and there is room again when one goes', async () => {
    const all = await Promise.all(Array.from({ length: FOLLOWERS_MAX }, follower));
    const { status, json } = await ask(node.socket, '/follow');
    assert.deepEqual([status, json.error.code], [429, 'ERR_BUSY']);
    assert.match(json.error.message, /8 clients follow already/);
    all[0]!.close();
    await until(() => feed.followers === FOLLOWERS_MAX - 1, 'a client that is gone is still told');
    const next = await follower();
    await next.line('first', says('first'));
  });

  it('keeps one line for who does not read, and closes the connection after a while', async () => {
    clients.push(deafClient(node.socket, FOLLOW));
    await until(() => feed.followers === 1, 'nobody follows');
    const one = await follower();
    const before = keptBytes();
    const startMs = performance.now();
    for (let i = 0; i < 20; i++) {
      feed.say(`change ${i}`, LARGE);
      await one.line(`change ${i}`, says(`change ${i}`));
    }
    const kept = keptBytes() - before;
    assert.ok(kept < 10 * LARGE.length, `${kept} bytes more are kept`);
    await until(() => feed.followers === 1, 'it still follows');
    assert.ok(performance.now() - startMs >= FOLLOW_SILENCE_MS - 100, 'closed too early');
    feed.say('afterwards');
    await one.line('afterwards', says('afterwards'));
  });

  it('gives a slow reader the newest line, and none that is older than the one before', async () => {
    const slow = request({ socketPath: node.socket, path: '/follow', agent: false });
    slow.end();
    const response = await new Promise<import('node:http').IncomingMessage>((resolve) =>
      slow.once('response', resolve),
    );
    await until(() => feed.followers === 1, 'nobody follows');
    // In much less time than a reader has.
    for (let i = 0; i <= 20; i++) {
      feed.say(`change ${i}`, LARGE);
      await delay(1);
    }
    let text = '';
    response.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    await until(() => text.includes('"change 20"') && text.endsWith('\n'), 'the newest line does not come');
    slow.on('error', () => undefined).destroy();
    const numbers = text
      .trim()
      .split('\n')
      .map((line) => Number(/\d+$/.exec(JSON.parse(line).reasons[0])?.[0] ?? -1));
    assert.ok(numbers.length < 10, `${numbers}`);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
    );
  });

  it('is kept however many others come, and keeps none of them out', async () => {
    const all = await Promise.all(Array.from({ length: FOLLOWERS_MAX }, follower));
    for (const bytes of ['', 'GET /status HTTP/1.1\r\n', 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n']) {
      node.instead.health = () => new Promise(() => undefined);
      const crowd = Array.from({ length: 2 * CONTROL_CONNECTIONS_MAX }, () => rawClient(node.socket, bytes));
      clients.push(...crowd);
      await delay(100);
      for (const path of ['/ready', '/status']) await answersAtOnce(node.socket, path);
    }
    feed.say('still there');
    for (const one of all) await one.line('still there', says('still there'));
  });

  it('ends with the last line when the node does, also for who does not read', async () => {
    const one = await follower();
    clients.push(deafClient(node.socket, FOLLOW));
    await until(() => feed.followers === 2, 'nobody follows');
    feed.say('large', LARGE);
    await one.line('large', says('large'));
    feed.say('left');
    const startMs = performance.now();
    await node.close();
    assert.ok(performance.now() - startMs < 2_000, 'the end waits for who does not read');
    assert.deepEqual((await one.ended).whole, true);
    assert.equal(said(one).at(-1), 'left');
    assert.equal(feed.followers, 0);
    node = await fakeNode();
  });
});
