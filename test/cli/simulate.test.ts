import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-simulate-'));
after(() => rmSync(directory, { recursive: true }));

const HIDE_MODULE = new URL('./hide-module.js', import.meta.url).href;

function simulate(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, ['dist/main.js', 'simulate', ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
}

test('simulate prints what two changes that overlap break with 5, 10 and 50 backends: nothing, with both alternates', () => {
  const { stdout, status } = simulate('--flows', '2000');
  assert.equal(status, 0);
  assert.match(
    stdout,
    /of those open, with 5 \/ 10 \/ 50 backends:\n\nchanges that overlap +anyhop +anyhop, 1 alternate +anyhop, no/,
  );
  assert.match(stdout, /^drain and crash +0 \/ 0 \/ 0 % +0 \/ 0 \/ 0 % +[\d.]+ \/ [\d.]+ \/ [\d.]+ %$/m);
  assert.match(stdout, /^three drains \(forced\) /m);
  assert.match(stdout, /^Forced is "force drain web-3": without that, the third planned change waits/m);
  assert.match(stdout, /^With second chance, two changes that overlap broke no connection\.$/m);
  assert.match(
    stdout,
    /^With second chance, three changes that overlap broke up to [\d.]+ % of the connections\.\n$/m,
  );
});

test('simulate --json has the same overlaps, with the events that --events plays', () => {
  const { overlaps, ...setting } = JSON.parse(simulate('--flows', '200', '--nodes', '1', '--json').stdout);
  assert.deepEqual(setting, { seed: 1, nodes: 1, flows: 200, settleSeconds: 60 });
  assert.equal(overlaps.length, 11);
  const [{ name, changes, forced, events, fleets }] = overlaps;
  assert.deepEqual([name, changes, forced], ['drain and crash', 2, []]);
  assert.deepEqual(
    fleets.map(({ backends, broken }: { backends: number; broken: object }) => [
      backends,
      Object.keys(broken),
    ]),
    [5, 10, 50].map((backends) => [
      backends,
      ['anyhop', 'anyhop_one_alternate', 'anyhop_without_second_chance'],
    ]),
  );
  const { stdout, status } = simulate('--flows', '200', '--backends', '5', '--events', events);
  assert.equal(status, 0);
  assert.match(stdout, /^ *30 +drain web-1/m);
});

test('simulate --events single prints a table in which anyhop broke nothing and every other scheme a lot', () => {
  const { stdout, status } = simulate('--events', 'single');
  assert.equal(status, 0);
  const [, anyhop, alone, maglev, rendezvous, modulo] = /^ +all +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$/m
    .exec(stdout)!
    .map(Number);
  assert.equal(anyhop, 0);
  for (const broken of [alone, maglev, rendezvous]) assert.ok(broken > 5000, String(broken));
  assert.ok(modulo > 50_000, String(modulo));
  assert.match(stdout, /With second chance anyhop broke no connection; \d+ packets took a second hop\.\n$/);
});

test('simulate --json and --svg say the same', () => {
  const svg = join(directory, 'broken.svg');
  const small = ['--flows', '200', '--events', 'drain web-1, settle', '--svg', svg];
  const { stdout, status } = simulate(...small, '--json');
  assert.equal(status, 0);
  const report = JSON.parse(stdout);
  assert.deepEqual(
    report.rows.map(({ event }: { event: string }) => event),
    ['start', 'drain web-1'],
  );
  const { broken } = report.rows[1].counts.maglev;
  assert.ok(readFileSync(svg, 'utf8').includes(`${Number((broken / 2).toFixed(1))} %`));
  const picture = readFileSync(svg, 'utf8');
  assert.equal(simulate(...small, '--json').stdout, stdout);
  assert.equal(readFileSync(svg, 'utf8'), picture);
});

test('simulate --second-chance off leaves that column out and says what is left', () => {
  const { stdout } = simulate('--flows', '200', '--second-chance', 'off', '--events', 'drain web-1');
  assert.match(stdout, /s +event +anyhop, no 2nd chance +plain Maglev/);
  assert.match(stdout, /Without second chance, every connection whose slot moves is broken\.\n$/);
});

test('simulate tells of connections that died with their machine, and of those that three changes broke', () => {
  const events = 'drain web-1, wait 5, drain web-2, wait 5, force drain web-3, settle, crash web-4';
  const { stdout } = simulate('--backends', '5', '--events', events);
  assert.match(stdout, /anyhop broke \d+ connections: three changes overlapped/);
  assert.match(stdout, /\d{3,4} connections died with the machine/);
});

test('simulate does not say that nothing broke where connections got no answer', () => {
  const events = 'weight web-2 5, wait 4, crash web-2, wait 40';
  const { stdout } = simulate('--backends', '5', '--events', events);
  assert.match(stdout, /^ +no answer for 10s +2657 +0 +0 +0 +0$/m);
  assert.match(stdout, /anyhop reset no connection, but 2657 connections got no answer for 10s: /);
  assert.doesNotMatch(stdout, /broke no connection/);
});

test('simulate --fleet tells by what is why for how long tables differed and what broke, and draws it', () => {
  const svg = join(directory, 'fleet.svg');
  const small = [
    '--fleet',
    '--nodes',
    '10',
    '--backends',
    '20',
    '--flows',
    '200',
    '--minutes',
    '3',
    '--churn',
    '120',
  ];
  const { stdout, stderr, status } = simulate(...small, '--svg', svg);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^10 nodes, 20 backends in 1 pool, 200 connections open at any moment, views own,/);
  assert.match(stdout, /^why +events +tables differed +median +99 % +longest +together +broken +no 2nd/m);
  assert.match(stdout, /^Of \d+ connections \d+ were broken \([<\d. ]+%\), and \d+ without second chance/m);
  assert.match(readFileSync(svg, 'utf8'), />drain<.*>late node</s);
  const report = JSON.parse(simulate(...small, '--json').stdout);
  assert.deepEqual([report.nodes, report.pools, report.endMs], [10, 1, 180_000]);
  assert.equal(report.changes.applied, Number(/^(\d+) of \d+ changes came/m.exec(stdout)?.[1]));
});

test('simulate refuses events that cannot be or cannot happen, and numbers out of range', () => {
  for (const [args, message] of [
    [['--events', 'drian web-1'], /"drian web-1" is not an event\n.*Events are:/],
    [['--events', 'drain web-11'], /"drain web-11" cannot happen: the config does not have it/],
    [['--events', 'return node-1'], /it was not lost/],
    [['--events', 'lose node-4'], /there are 3 nodes/],
    [['--events', 'random:0'], /random:COUNT/],
    [
      ['--backends', '7', '--svg', 'x.svg'],
      /--backends, --svg: only with --events or --fleet\n.*--events single/,
    ],
    [['--backends', '0'], /from 1 to 10000/],
    [['--nodes', '101'], /without --fleet, at most 100 nodes and 1000 backends/],
    [['--churn', '3', '--svg', 'x.svg'], /--svg, --churn: only with --fleet/],
    [['--fleet', '--events', 'rehash'], /--fleet takes no --events/],
    [['--fleet', '--switch', '200,60'], /the smaller one first: 60,200/],
    [['--svg', join(directory, 'missing', 'x.svg'), '--flows', '10', '--events', 'rehash'], /cannot write/],
  ] as const) {
    const { status, stderr } = simulate(...args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
  }
});

test('simulate --events random is the same for the same seed', () => {
  const args = ['--flows', '100', '--events', 'random:5', '--json', '--seed'];
  assert.equal(simulate(...args, '3').stdout, simulate(...args, '3').stdout);
  assert.notEqual(simulate(...args, '3').stdout, simulate(...args, '4').stdout);
});

test('simulate --svg without echarts says what to install; the table does without', () => {
  const run = (...args: string[]) =>
    spawnSync(
      process.execPath,
      ['--import', HIDE_MODULE, 'dist/main.js', 'simulate', '--flows', '10', ...args],
      {
        encoding: 'utf8',
        env: { ...process.env, HIDE_MODULE: 'echarts/core' },
        timeout: 60_000,
      },
    );
  const { status, stderr } = run('--events', 'rehash', '--svg', join(directory, 'none.svg'));
  assert.equal(status, 3);
  assert.match(stderr, /echarts.*cannot be loaded\n.*optional package of anyhop; install it: npm ci/);
  assert.equal(run('--events', 'rehash').status, 0);
});
