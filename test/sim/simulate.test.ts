/** The simulator's figures where they can be worked out by hand, under every scheme. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScript } from '#anyhop/sim/event.js';
import { plotReport } from '#anyhop/sim/plot.js';
import { ANYHOP, ANYHOP_ALONE, PEERS } from '#anyhop/sim/scheme.js';
import { type SimOptions, type SimReport, simulate } from '#anyhop/sim/simulate.js';

const SCHEMES = [ANYHOP, ANYHOP_ALONE, ...PEERS];

function run(script: string, options: Partial<SimOptions> = {}): SimReport {
  return simulate({
    seed: 1,
    backends: 10,
    nodes: 3,
    flows: 2000,
    slots: 65537,
    settleMs: 60_000,
    lifetimeMs: 60_000,
    tickMs: 6000,
    events: [...parseScript(script), { kind: 'settle' }],
    schemes: SCHEMES,
    ...options,
  });
}

function silent(report: SimReport, scheme = 'anyhop'): number {
  return report.rows.reduce((sum, { counts }) => sum + counts[scheme].silent, 0);
}

/** Share of the open connections that broke, over the whole run. */
function broken(report: SimReport, scheme = 'anyhop'): number {
  return report.rows.reduce((sum, { counts }) => sum + counts[scheme].broken, 0) / report.flows;
}

test('a drain breaks nothing with second chance, the share of one backend without, and nine of ten with modulo', () => {
  const report = run('drain web-2');
  assert.equal(broken(report), 0);
  for (const scheme of ['anyhop_without_second_chance', 'maglev', 'rendezvous']) {
    assert.ok(
      broken(report, scheme) > 0.07 && broken(report, scheme) < 0.13,
      `${scheme} ${broken(report, scheme)}`,
    );
  }
  assert.ok(broken(report, 'modulo') > 0.85, String(broken(report, 'modulo')));
});

test('plain Maglev moves connections of healthy backends as well; anyhop only those of the one that goes', () => {
  const report = run('down web-2', { backends: 100, flows: 20_000 });
  assert.equal(broken(report), 0);
  assert.ok(broken(report, 'maglev') > 1.2 * broken(report, 'anyhop_without_second_chance'));
});

test('a forwarder that is lost, restarted or comes back breaks nothing under any scheme', () => {
  const report = run('lose node-1, wait 100, return node-1, rehash, restart node-2, rehash');
  for (const { name } of SCHEMES) assert.equal(broken(report, name), 0, name);
});

test('a backend that one node alone sees down loses nothing where nodes go by what most of them see', () => {
  const alone = 'anyhop_without_second_chance';
  const script = 'down web-2 on node-1, wait 6, rehash, wait 6, up web-2 on node-1';
  assert.ok(broken(run(script), alone) > 0.01);
  const quorum = { views: 'quorum' } as const;
  assert.equal(broken(run(script, quorum), alone), 0);
  assert.ok(
    broken(run(`cut node-1, ${script}`, quorum), alone) > 0.01,
    'by its own view when it hears nobody',
  );
  assert.equal(broken(run(`cut node-1, ${script}, rejoin node-1, rehash`, quorum), 'anyhop'), 0);
  const most = run(
    `lose node-3, down web-2 on node-1, down web-2 on node-2, return node-3, wait 6, rehash`,
    quorum,
  );
  assert.ok(broken(most, alone) > 0.07, 'most nodes see it down');
  assert.throws(() => run('cut node-1'), /--views quorum/);
});

test('a machine that crashes loses its own connections, and no other', () => {
  const report = run('crash web-2, wait 6, down web-2, settle');
  const [, crash] = report.rows;
  assert.ok(crash.counts['anyhop'].died > 100 && crash.counts['anyhop'].died < 300);
  assert.equal(broken(report), 0);
});

test('a connection whose machine lives is silent when its packets go to a dead one for more than 10 s', () => {
  const report = run('weight web-2 5, wait 4, crash web-2, wait 40', {
    backends: 5,
    flows: 10_000,
    tickMs: 2000,
  });
  assert.equal(silent(report), 2657);
  assert.equal(broken(report), 0);
  const [, , crash] = report.rows;
  assert.equal(crash.counts['anyhop'].died, 2248, 'those of the dead machine itself are not among them');
  // What moved to the dead machine was broken by the move, and died there.
  for (const { name } of SCHEMES.slice(1)) assert.equal(silent(report, name), 0, name);
});

test('a silent connection counts once and for good; one that is answered within 10 s does not', () => {
  const sizes = { backends: 5, tickMs: 2000, lifetimeMs: 600_000 };
  const start = 'weight web-2 5, wait 4, crash web-2';
  assert.equal(
    silent(run(`${start}, wait 10, recover web-2, wait 4, crash web-2, wait 10, recover web-2`, sizes)),
    0,
  );
  const once = silent(run(`${start}, wait 12, recover web-2, wait 4`, sizes));
  assert.ok(once > 100, String(once));
  assert.equal(silent(run(`${start}, wait 12, recover web-2, wait 4, crash web-2, wait 30`, sizes)), once);
});

test('a connection that outlives the settle time breaks when its slot was given away and that time has passed', () => {
  const short = run('weight web-1 5, settle');
  const long = run('weight web-1 5, settle', { lifetimeMs: 600_000 });
  assert.equal(broken(short), 0);
  assert.ok(broken(long) > 0.1, String(broken(long)));
  // A draining backend stays a candidate for as long as it drains.
  assert.equal(broken(run('drain web-1, settle', { lifetimeMs: 600_000 })), 0);
});

test('a third change that comes too soon waits and breaks nothing; forced, it breaks some', () => {
  const two = 'drain web-1, wait 12, drain web-2, wait 12';
  const five = { backends: 5, flows: 10_000 };
  assert.equal(broken(run(`${two}, drain web-3`, five)), 0);
  assert.ok(broken(run(`${two}, force drain web-3`, five)) > 0.003);
});

test('nodes that see different health for less than a settle time break nothing when the router hashes anew', () => {
  assert.equal(
    broken(run('down web-5 on node-2, wait 6, rehash, wait 6, rehash, up web-5 on node-2, rehash')),
    0,
  );
  const long = run('down web-5 on node-2, wait 120, rehash, wait 6', { nodes: 2 });
  assert.ok(broken(long) > 0, 'after that they are two fleets');
});

test('no backend, no forwarder: nothing is opened and nothing is reset; without a forwarder all are silent', () => {
  const lost = run('lose node-1, wait 60, return node-1, settle', { nodes: 1 });
  for (const { name } of SCHEMES) {
    assert.equal(broken(lost, name), 0, name);
    assert.ok(silent(lost, name) > 1000, `${name} ${silent(lost, name)}`);
  }
  const crashed = run('crash web-1, wait 60', { backends: 1 });
  assert.equal(broken(crashed) + silent(crashed), 0);
});

test('the picture is an SVG document with every event and scheme', async () => {
  const report = run('drain web-2, settle, rehash');
  const svg = await plotReport(report, SCHEMES);
  assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"[\s\S]*<\/svg>\s*$/);
  for (const text of ['drain web-2', 'rehash', ...SCHEMES.map(({ title }) => title)])
    assert.ok(svg.includes(text), text);
  assert.doesNotMatch(svg, /NaN|undefined/);
});
