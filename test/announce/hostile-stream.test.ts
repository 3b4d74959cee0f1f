/** The stream of a node, from servers that are slow, wrong, hostile or gone. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { NodeStream } from '#anyhop/announce/node-stream.js';
import type { FollowLine } from '#anyhop/api/follow.js';
import { FOLLOW_LINE_BYTES_MAX } from '#anyhop/core/limits.js';

const DEADLINE_MS = 10_000;
const LINE: Omit<FollowLine, 'line'> = {
  node: 'edge-1',
  version: '0.1.0',
  pid: 7,
  startedAt: '2026-01-01T00:00:00.000Z',
  phase: 'serving',
  reasons: [],
  vips: [{ vip: '192.0.2.1', services: [{ name: 'web', pool: 'web', ready: true }] }],
  pools: { web: { up: 1, total: 1, hops: [] } },
};
const lineOf = (number: number, more: object = {}): string =>
  `${JSON.stringify({ line: number, ...LINE, ...more })}\n`;

describe('the stream of a node that is slow, wrong, hostile or gone', () => {
  let directory: string;
  let server: Server | undefined;
  let stream: NodeStream | undefined;
  let said: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'anyhop-stream-'));
    said = [];
  });
  afterEach(async () => {
    stream?.close();
    await stop();
    rmSync(directory, { recursive: true });
  });

  const path = (): string => join(directory, 'node.sock');
  const stop = async (): Promise<void> => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(0) : server.close(resolve)));
    server = undefined;
  };
  const serve = async (answer: (response: ServerResponse) => void): Promise<void> => {
    server = createServer((_, response) => answer(response));
    await new Promise<void>((resolve) => server!.listen(path(), resolve));
  };
  const follow = (): void => {
    stream = new NodeStream(path(), {
      heard: ({ line, phase }) => said.push(`${phase} ${line}`),
      heardAgain: () => said.push('again'),
      lost: (why) => said.push(`lost: ${why}`),
    });
  };
  const waitFor = async (wanted: RegExp): Promise<void> => {
    const endMs = performance.now() + DEADLINE_MS;
    while (!said.some((each) => wanted.test(each))) {
      if (performance.now() > endMs) assert.fail(`no ${wanted} in: ${said.join(', ').slice(0, 2000)}`);
      await delay(10);
    }
  };

  test('is heard line by line, however it is cut', async () => {
    await serve((response) => {
      const text = `${lineOf(1)}{"line":2,"same":true}\n${lineOf(3, { phase: 'stopping' })}`;
      for (let i = 0; i < text.length; i += 50) response.write(text.slice(i, i + 50));
    });
    follow();
    await waitFor(/stopping 3/);
    assert.deepEqual(said, ['serving 1', 'again', 'stopping 3']);
  });

  test('is opened again, also when there was no socket at first, and when the process was killed', async () => {
    follow();
    await waitFor(/lost: .*there is no such socket/);
    await serve((response) => response.write(lineOf(1)));
    await waitFor(/serving 1/);
    await stop();
    await waitFor(/lost: the stream ended/);
    said = [];
    await serve((response) => response.write(lineOf(1)));
    await waitFor(/serving 1/);
  });

  test('from another version that has none is a loss in words', async () => {
    await serve((response) => response.writeHead(404).end('{}'));
    follow();
    await waitFor(/lost: it answers 404 to GET \/follow; is it another version of anyhop\?/);
  });

  for (const [what, text, why] of [
    ['no JSON', 'hello\n', /a line is no JSON/],
    ['no line', '[]\n', /a line has a wrong shape/],
    ['a VIP that is none', lineOf(1, { vips: [{ vip: '192.0.2.300', services: [] }] }), /wrong vips\.0\.vip/],
    [
      'a VIP that is not canonical',
      lineOf(1, { vips: [{ vip: '2001:DB8::1', services: [] }] }),
      /wrong vips\.0\.vip/,
    ],
    ['an unknown phase', lineOf(1, { phase: 'dancing' }), /wrong phase/],
    [
      'an interface without an index',
      lineOf(1, { engine: { name: 'xdp', interface: { name: 'eth0', index: 0 } } }),
      /wrong engine\.interface\.index/,
    ],
    [
      'a time that is none',
      lineOf(1, { phase: 'stopping', stop: { why: 'x', until: 'soon', forwardsOn: true } }),
      /wrong stop\.until/,
    ],
    [
      'more VIPs than there can be',
      lineOf(1, { vips: Array(5000).fill({ vip: '192.0.2.1', services: [] }) }),
      /wrong vips/,
    ],
    ['a name like __proto__', lineOf(1).replace('"web":{"up"', '"__proto__":{"up"'), /wrong|serving/],
  ] as const)
    test(`that has ${what} changes nothing`, async () => {
      await serve((response) => response.write(text));
      follow();
      await waitFor(why);
      assert.ok(({} as { up?: unknown }).up === undefined);
    });

  test('escapes what a terminal would obey', async () => {
    const heard: string[] = [];
    await serve((response) => response.write(lineOf(1, { reasons: ['\u001b[2J gone'] })));
    stream = new NodeStream(path(), {
      heard: ({ reasons }) => heard.push(...reasons),
      heardAgain: () => undefined,
      lost: () => undefined,
    });
    const endMs = performance.now() + DEADLINE_MS;
    while (heard.length === 0 && performance.now() < endMs) await delay(10);
    assert.deepEqual(heard, ['\\u001b[2J gone']);
  });

  test('that never ends a line is left, and costs no more than a line may', async () => {
    await serve((response) => {
      const piece = Buffer.alloc(1024 * 1024, 'x');
      let sent = 0;
      const more = (): void => {
        while (sent <= FOLLOW_LINE_BYTES_MAX + piece.length && !response.destroyed) {
          sent += piece.length;
          if (!response.write(piece)) {
            response.once('drain', more);
            return;
          }
        }
      };
      more();
    });
    follow();
    await waitFor(/lost: a line has more than \d+ bytes/);
  });
});
