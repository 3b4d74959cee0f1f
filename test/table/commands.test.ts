import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-table-'));
after(() => rmSync(directory, { recursive: true }));

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

function anyhop(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
    timeout: 30_000,
  });
}

function config(name: string, pools: Record<string, string[]>, services = ''): string {
  const file = join(directory, name);
  const text = Object.entries(pools).map(
    ([pool, lines]) =>
      `  ${pool}:\n    table_size: 251\n    backends:\n${lines.map((line) => `      - {${line}}\n`).join('')}`,
  );
  writeFileSync(file, `pools:\n${text.join('')}${services}`);
  return file;
}

const three = [1, 2, 3].map((i) => `name: web-${i}, address: 10.1.0.${i}`);
const web = config('web.yaml', { web: three });
const two = config('two.yaml', { web: three, api: three });

test('table prints evenness, digests and build time, and says what it means', () => {
  const { stdout, status } = anyhop('table', '-c', web);
  assert.equal(status, 0);
  assert.match(stdout, /^pool web: 3 backends, 251 slots, 3 layers\n/);
  assert.match(stdout, /slots each +min 83, max 84, mean 83\.67\n/);
  assert.match(stdout, /owners +[0-9a-f]{64}\n/);
  assert.match(stdout, /build time +[\d.]+ms layers/);
  assert.match(stdout, /more flows than its share\.\n$/);
});

test('table names who has so small a weight that it gets no slot, as check does', () => {
  const file = config('small.yaml', {
    web: [`${three[0]}, weight: 65535`, three[1], `${three[2]}, weight: 65535`],
  });
  const table = anyhop('table', '-c', file);
  assert.match(
    table.stdout,
    /\nThese backends own no slot and get no flows: web-2. Their weight is too small/,
  );
  assert.doesNotMatch(table.stdout, /Every backend gets/);
});

test('table --json prints one object with the same figures', () => {
  const { stdout } = anyhop('table', '-c', web, '--down', 'web-2', '--json');
  const summary = JSON.parse(stdout);
  assert.deepEqual([summary.pool, summary.slots, summary.layers, summary.backends], ['web', 251, 3, 3]);
  assert.deepEqual([summary.evenness.backends, summary.moved.betweenHealthy], [2, 0]);
  assert.ok(summary.buildMs.layers > 0);
});

test('table --dump prints a line for every slot, with the backend that went down as alternate', () => {
  const before = anyhop('table', '-c', web, '--dump').stdout.trimEnd().split('\n');
  const after = anyhop('table', '-c', web, '--down', 'web-2', '--dump').stdout.trimEnd().split('\n');
  assert.equal(before.length, 252);
  assert.equal(before[0], 'slot,owner,alternate_1,alternate_2');
  for (let slot = 0; slot < 251; slot++) {
    const [, owner, alternate] = before[slot + 1].split(',');
    const expected = owner === 'web-2' ? `${slot},${alternate},web-2` : `${slot},${owner},`;
    assert.ok(after[slot + 1].startsWith(expected), `${before[slot + 1]} became ${after[slot + 1]}`);
  }
});

test('table names the known names when it is given an unknown one', () => {
  const backend = anyhop('table', '-c', web, '--down', 'wbe-2');
  assert.equal(backend.status, 2);
  assert.match(
    backend.stderr,
    /pool web has no backend named "wbe-2"\n.*Did you mean web-2\? .*web-1, web-2, web-3/,
  );
  const pool = anyhop('table', '-c', two, '--pool', 'db');
  assert.equal(pool.status, 2);
  assert.match(pool.stderr, /no pool named "db"\n.*web, api/);
});

test('table asks which pool is meant when there are several', () => {
  const { status, stderr } = anyhop('table', '-c', two);
  assert.equal(status, 2);
  assert.match(stderr, /2 pools\n.*--pool: web, api/);
  assert.equal(anyhop('table', '-c', two, '--pool', 'api').status, 0);
});

test('plan tells the slots and flows that a drain moves, and which service has no second chance', () => {
  const services =
    'services:\n  - {name: http, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web, second_chance: off}\n';
  const old = config('old.yaml', { web: three }, services);
  const next = config('new.yaml', { web: [...three.slice(0, 2), `${three[2]}, state: draining`] }, services);
  const { stdout, status } = anyhop('plan', old, next);
  assert.equal(status, 0);
  assert.match(stdout, /changes +web-3 state active -> draining\n/);
  assert.match(stdout, /slots moved +83 slots \(33\.1 %\)\n/);
  assert.match(stdout, /collateral +0 slots \(0 %\)\n/);
  assert.match(stdout, /TCP +0 % of flows break with second chance, 33\.1 % without\n/);
  assert.match(stdout, /UDP +33\.1 % of flows move/);
  assert.match(stdout, /It is off for http: 33\.1 % break there\.\n$/);
  const json = JSON.parse(anyhop('plan', old, next, '--json').stdout);
  assert.equal(json.pools[0].plan.moved.slots, 83);
});

test('plan tells of pools that come and go, and of services that change pool or hash', () => {
  const service = (fields: string) =>
    `services:\n  - {name: http, vip: 203.0.113.10, protocol: tcp, port: 80, ${fields}}\n` +
    '  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: web}\n';
  const old = config('services-old.yaml', { web: three, api: three }, service('pool: web'));
  const moved = config('services-new.yaml', { web: three, db: three }, service('pool: db'));
  const { stdout } = anyhop('plan', old, moved);
  assert.match(stdout, /pool api: removed/);
  assert.match(stdout, /pool db: added/);
  assert.match(stdout, /Pool web stays as it is\.\n/);
  assert.match(stdout, /http: pool web -> db, in which all its flows have the same backends\n/);
  const others = [4, 5, 6].map((i) => `name: web-${i}, address: 10.1.0.${i}`);
  const elsewhere = config('services-else.yaml', { web: three, db: others }, service('pool: db'));
  assert.match(
    anyhop('plan', old, elsewhere).stdout,
    /http: pool web -> db; all of its flows change backends\n/,
  );
  const mixed = config(
    'services-mixed.yaml',
    { web: three, db: [...three.slice(0, 2), others[0]] },
    service('pool: db'),
  );
  assert.match(
    anyhop('plan', old, mixed).stdout,
    /http: pool web -> db; [2-5]\d(\.\d)? % of its flows change backends\n/,
  );
  const rehashed = config(
    'services-hash.yaml',
    { web: three, api: three },
    service('pool: web, hash: source'),
  );
  assert.match(
    anyhop('plan', old, rehashed).stdout,
    /http: hash 5-tuple -> source; all its flows get new slots\n/,
  );
  const dropped = config('services-none.yaml', { web: three, api: three });
  assert.match(anyhop('plan', old, dropped).stdout, /dns: no longer served; those flows end\n/);
});

test('plan refuses a file that is not a config, with its place', () => {
  const { status, stderr } = anyhop('plan', web, join(directory, 'missing.yaml'));
  assert.equal(status, 2);
  assert.match(stderr, /missing\.yaml/);
});
