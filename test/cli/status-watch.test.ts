/** status over time and in part: it outlives a restart of the node, and shows what is asked for of thousands of backends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeStatus } from '#anyhop/api/status.js';
import { fakeNode } from '../api/fake-node.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { anyhop } from './client.js';
import { MAIN } from './run-fixture.js';

const TIMEOUT_MS = 20_000;

/** Something that answers every question with a status. */
async function serve(path: string, status: NodeStatus): Promise<Server> {
  const server = createServer((_, response) => response.end(JSON.stringify(status)));
  server.listen(path);
  await once(server, 'listening');
  return server;
}

test('status --watch shows the time, goes on while the node is away, and shows it when it is back', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ah-watch-'));
  const socket = join(directory, 'x.sock');
  const end = async (server: Server): Promise<void> => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  let server = await serve(socket, nodeStatus({ pid: 111 }));
  const watch = spawn(process.execPath, [MAIN, 'status', '--socket', socket, '--watch', '0.1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  watch.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const shows = async (wanted: RegExp): Promise<void> => {
    const deadline = performance.now() + TIMEOUT_MS;
    while (!wanted.test(text)) {
      assert.ok(
        performance.now() < deadline && watch.exitCode === null,
        `no ${wanted} in: ${text.slice(-2_000)}`,
      );
      await delay(20);
    }
  };
  try {
    await shows(/^at \d\d:\d\d:\d\d\n[\s\S]*process 111/);
    await end(server);
    await shows(/\nat \d\d:\d\d:\d\d the node does not answer: .*x\.sock/);
    server = await serve(socket, nodeStatus({ pid: 222 }));
    await shows(/process 222/);
  } finally {
    watch.kill();
    await end(server);
    rmSync(directory, { recursive: true });
  }
});

test('status --watch ends where no node answers from the beginning', async () => {
  const { code, stderr } = await anyhop(['status', '--watch', '1', '--socket', '/nonexistent/x.sock']);
  assert.equal(code, 1);
  assert.match(stderr, /is the node running/);
});

test('status shows one pool, one service, or what is down, and names what there is when that is not there', async () => {
  const [service] = nodeStatus().services;
  const many = Array.from({ length: 4_000 }, (_, i) =>
    backendStatus(`big-${i}`, i === 1_234 ? { health: 'down', healthReason: 'connection refused' } : {}),
  );
  const readiness = {
    ready: true,
    reasons: [],
    services: ['http', 'api'].map((name) => ({ name, ready: true, pool: name === 'http' ? 'web' : 'big' })),
  };
  const status = nodeStatus({
    readiness,
    services: [service!, { ...service!, name: 'api', pool: 'big' }],
    pools: [poolStatus('web', [backendStatus('web-1')]), poolStatus('big', many)],
  });
  const node = await fakeNode({ status: async () => status });
  const shown = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await anyhop(['status', '--socket', node.socket, ...args]);
    assert.deepEqual([code, stderr], [0, '']);
    return stdout;
  };
  try {
    const web = await shown('--pool', 'web');
    assert.match(web, /^pool web: 1 of 1 backend up/m);
    assert.doesNotMatch(web, /big/);
    const api = JSON.parse(await shown('--service', 'api', '--json'));
    const names = (list: { name: string }[]): string[] => list.map(({ name }) => name);
    assert.deepEqual([names(api.services), names(api.pools)], [['api'], ['big']]);
    assert.deepEqual(names(api.readiness.services), ['api']);
    const down = await shown('--down');
    assert.match(down, /^pool big: 3999 of 4000 backends up/m);
    assert.match(down, /^big-1234 is down since .*: connection refused$/m);
    assert.doesNotMatch(down, /pool web|big-1235/);
    const json = JSON.parse(await shown('--down', '--json'));
    assert.deepEqual([names(json.pools), names(json.pools[0].backends)], [['big'], ['big-1234']]);
    const { code, stderr } = await anyhop(['status', '--socket', node.socket, '--pool', 'wbe']);
    assert.equal(code, 2);
    assert.match(stderr, /the node has no pool wbe[\s\S]*It has web, big\./);
  } finally {
    await node.close();
  }
});

test('status --events shows what the node has told its log, also as JSON', async () => {
  const at = '2024-05-01T12:00:00.000Z';
  const report = {
    since: at,
    events: [{ at, level: 'warn' as const, event: 'health', message: 'web/web-1 is down: refused' }],
  };
  const node = await fakeNode({ events: () => report });
  try {
    const text = await anyhop(['status', '--events', '--socket', node.socket]);
    assert.match(
      text.stdout,
      /^events since 2024-05-01 .*\n2024-05-01 \d\d:\d\d:\d\d {2}warn {3}web\/web-1 is down: refused\n$/,
    );
    const json = await anyhop(['status', '--events', '--json', '--socket', node.socket]);
    assert.deepEqual(JSON.parse(json.stdout), report);
  } finally {
    await node.close();
  }
});
