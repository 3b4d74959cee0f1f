/** The checks as a whole, with probes that do what the test says: first results, changes, new targets, stalls. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import type { HealthConfig } from '#anyhop/config/types.js';
import type { FinishedCheck } from '#anyhop/health/check-runner.js';
import { type HealthChange, HealthChecks, type HealthTarget } from '#anyhop/health/health-checks.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { FakeProbe } from './fake-probe.js';

const CHECK: HealthConfig = {
  kind: 'tcp',
  port: 80,
  intervalMs: 100,
  timeoutMs: 50,
  rise: 2,
  fall: 3,
  jitter: 0,
};

const target = (index: number, change: Partial<HealthTarget> = {}): HealthTarget => ({
  name: `web/web-${index}`,
  address: parseAddress(`10.1.0.${index}`)!,
  checks: [CHECK],
  ...change,
});

interface Setup {
  readonly checks: HealthChecks;
  /** The newest for each name. */
  readonly probes: Map<string, FakeProbe>;
  readonly made: FakeProbe[];
  readonly changes: HealthChange[];
  readonly lines: Record<string, unknown>[];
}

const open: HealthChecks[] = [];
afterEach(() => {
  for (const checks of open.splice(0)) checks.close();
});

/** @param react what each check does; good at once when not given */
function setUp(react: (probe: FakeProbe) => void = (probe) => probe.finish()): Setup {
  const [probes, made, changes, lines] = [
    new Map<string, FakeProbe>(),
    [] as FakeProbe[],
    [] as HealthChange[],
    [],
  ];
  const log = pino(
    { base: null },
    { write: (line: string) => void (lines as unknown[]).push(JSON.parse(line)) },
  );
  const checks = new HealthChecks({
    log,
    probe: (each, done) => {
      const probe = new FakeProbe(each, done, react);
      made.push(probe);
      probes.set(each.name, probe);
      return probe;
    },
  });
  open.push(checks);
  checks.onChange((change) => changes.push(change));
  return { checks, probes, made, changes, lines };
}

/** Unless it was cancelled by then, as a check is when this process stands still for too long. */
function finishLater(probe: FakeProbe, ms: number, failure?: string): void {
  setTimeout(() => probe.isRunning && probe.finish(failure), ms);
}

/** Waits for what the checks do in their own time; fails when they never do. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, `never: ${condition}`);
    await delay(5);
  }
}

const marks = (checks: HealthChecks) =>
  Object.fromEntries([...checks.current()].map(([name, { isUp, reason }]) => [name, isUp ? 'up' : reason]));

describe('health checks', () => {
  it('tell the log the present reason of one that is down when it changes, and not each time when two take turns', async () => {
    let reason = 'connection refused';
    const { checks, lines } = setUp((probe) => probe.finish(reason));
    await checks.setTargets([target(1)]);
    reason = 'no answer';
    await until(() => checks.current().get('web/web-1')?.reason === 'no answer');
    const told = (): unknown[] => lines.map(({ level, reason: why, msg }) => [level, why, msg]);
    assert.equal(told().length, 1, 'within ten seconds the log has the first reason alone');
    // The clock of the checks, ten seconds later.
    const { now } = performance;
    try {
      performance.now = () => now.call(performance) + 10_000;
      await until(() => lines.length === 2);
      for (const next of ['connection refused', 'no answer', 'connection refused']) {
        reason = next;
        await until(() => checks.current().get('web/web-1')?.reason === next);
      }
    } finally {
      performance.now = now;
    }
    assert.deepEqual(told().slice(1), [
      [40, 'no answer', 'web/web-1 is still down, now for another reason: no answer'],
    ]);
  });

  it('have a mark for every target once its first check has ended, by an answer or by the timeout', async () => {
    const { checks, lines } = setUp((probe) => {
      const { name } = probe.target;
      if (name === 'web/web-1') probe.finish();
      if (name === 'web/web-2') finishLater(probe, 10, 'connect ECONNREFUSED 10.1.0.2:80');
    });
    await checks.setTargets([target(1), target(2), target(3)]);
    assert.deepEqual(marks(checks), {
      'web/web-1': 'up',
      'web/web-2': 'connect ECONNREFUSED 10.1.0.2:80',
      'web/web-3': 'no answer within 50ms',
    });
    assert.deepEqual(lines.map(({ msg }) => msg).sort(), [
      'web/web-1 is up: the check is good, first check',
      'web/web-2 is down: connect ECONNREFUSED 10.1.0.2:80, first check',
      'web/web-3 is down: no answer within 50ms, first check',
    ]);
  });

  it('tell of every check that ends: how long it took, and whether it was good, failed or could not be made', async () => {
    const finished: FinishedCheck[] = [];
    const { checks } = setUp((probe) => {
      const { name } = probe.target;
      if (name === 'web/web-1') finishLater(probe, 20);
      if (name === 'web/web-2') probe.finish('too many open files', true);
    });
    const quiet = checks.onCheck((one) => finished.push(one));
    await checks.setTargets([target(1), target(2), target(3)]);
    const of = (index: number): FinishedCheck[] => finished.filter(({ name }) => name === `web/web-${index}`);
    assert.deepEqual(
      [1, 2, 3].map((index) => [of(index)[0].outcome, of(index)[0].failure]),
      [
        ['good', undefined],
        ['not_made', 'too many open files'],
        ['failed', 'no answer within 50ms'],
      ],
    );
    assert.ok(of(1)[0].tookMs >= 19, `${of(1)[0].tookMs}`); // timers of Node may be a millisecond early
    assert.ok(of(3)[0].tookMs >= 49, `${of(3)[0].tookMs}`);
    assert.ok(Math.abs(of(3)[0].endedAtMs - Date.now()) < 20_000);
    assert.equal(of(1)[0].check, CHECK);
    // What is shown of a backend is the last one.
    const [{ last, result }] = checks.checksOf('web/web-3');
    assert.equal(last, of(3).at(-1));
    assert.equal(result?.reason, 'no answer within 50ms');
    assert.deepEqual(checks.checksOf('web/nobody'), []);
    quiet();
    const count = finished.length;
    await until(() => checks.checksOf('web/web-3')[0].last !== last);
    assert.equal(finished.length, count);
  });

  it('have nothing to wait for without targets, and end a wait when closed', async () => {
    const { checks } = setUp(() => {});
    await checks.setTargets([]);
    const waiting = checks.setTargets([target(1)]);
    checks.close();
    await waiting;
  });

  it('tell of a change at once, after enough results, with a reason and a time', async () => {
    let failure: string | undefined;
    const { checks, changes, probes, lines } = setUp((probe) => probe.finish(failure));
    await checks.setTargets([target(1)]);
    const probe = probes.get('web/web-1')!;
    failure = 'connect ECONNREFUSED 10.1.0.1:80';
    await until(() => changes.length >= 2);
    assert.equal(probe.starts, 4);
    failure = undefined;
    await until(() => changes.length >= 3);
    assert.equal(probe.starts, 6);
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      [
        'web/web-1 is up: the check is good, first check',
        'web/web-1 is down: connect ECONNREFUSED 10.1.0.1:80, 3 in a row',
        'web/web-1 is up: the check is good, 2 in a row',
      ],
    );
    assert.deepEqual(
      lines.map(({ event, backend, health }) => `${event} ${backend} ${health}`),
      ['health web/web-1 up', 'health web/web-1 down', 'health web/web-1 up'],
    );
  });

  it('of one that is down show the last reason, which is no change', async () => {
    let failure = 'first';
    const { checks, changes, probes } = setUp((probe) => probe.finish(failure));
    await checks.setTargets([target(1)]);
    failure = 'second';
    await until(() => probes.get('web/web-1')!.starts >= 3);
    assert.deepEqual(marks(checks), { 'web/web-1': 'second' });
    assert.equal(changes.length, 1);
  });

  it('leave targets alone that are as before, and end those that are gone', async () => {
    const { checks, probes, made, changes } = setUp();
    await checks.setTargets([target(1), target(2)]);
    const [first, second] = [probes.get('web/web-1')!, probes.get('web/web-2')!];
    const mark = checks.current().get('web/web-1');
    await checks.setTargets([target(3), { ...target(1), checks: [{ ...CHECK }] }]);
    assert.equal(made.length, 3);
    assert.equal(checks.current().get('web/web-1'), mark);
    assert.deepEqual([second.isClosed, first.isClosed], [true, false]);
    assert.deepEqual([...checks.current().keys()].sort(), ['web/web-1', 'web/web-3']);
    const { starts } = second;
    const third = probes.get('web/web-3')!;
    await until(() => first.starts > 2 && third.starts > 1);
    assert.equal(second.starts, starts);
    assert.equal(changes.length, 3);
  });

  it('cancel a check that is running when its target goes', async () => {
    const { checks, probes } = setUp(() => {});
    const waiting = checks.setTargets([target(1)]);
    await until(() => probes.get('web/web-1')!.isRunning);
    await checks.setTargets([]);
    await waiting;
    const { cancelled, isClosed } = probes.get('web/web-1')!;
    assert.deepEqual([cancelled, isClosed], [1, true]);
  });

  it('keep the mark of a target that is checked in another way, until the first result decides', async () => {
    let failure: string | undefined;
    const { checks, changes } = setUp((probe) => probe.finish(failure));
    await checks.setTargets([target(1)]);
    failure = 'HTTP status 500; expected 200';
    await checks.setTargets([target(1, { checks: [{ ...CHECK, port: 81 }] })]);
    assert.deepEqual(marks(checks), { 'web/web-1': 'up' });
    await until(() => changes.length >= 2);
    assert.deepEqual(marks(checks), { 'web/web-1': failure });
  });

  it('forget the mark of a name that stands for another server now', async () => {
    const { checks } = setUp((probe) => {
      if (probe.target.address.text === '10.1.0.1') probe.finish();
    });
    await checks.setTargets([target(1)]);
    const waiting = checks.setTargets([target(1, { address: parseAddress('10.1.0.9')! })]);
    assert.deepEqual(marks(checks), {});
    await waiting;
    assert.deepEqual(marks(checks), { 'web/web-1': 'no answer within 50ms' });
  });

  it('do not blame a backend for what this host lacks, unless nothing else is known of it', async () => {
    let isOwnFault = false;
    const { checks, changes, probes, lines } = setUp((probe) =>
      isOwnFault ? probe.finish('socket EMFILE', true) : probe.finish(),
    );
    await checks.setTargets([target(1)]);
    isOwnFault = true;
    await until(() => probes.get('web/web-1')!.starts >= 6);
    assert.deepEqual(marks(checks), { 'web/web-1': 'up' });
    assert.equal(changes.length, 1);
    // Said once, however many checks have the same trouble.
    const complaints = lines.filter(({ event }) => event === 'health_unknown').map(({ msg }) => msg);
    assert.deepEqual(complaints, ['web/web-1 cannot be checked from here: socket EMFILE']);
    await checks.setTargets([target(1), target(2)]);
    assert.equal(marks(checks)['web/web-2'], 'socket EMFILE');
  });

  it('blame no backend for the time in which this process stood still', async () => {
    const { checks, changes, probes } = setUp((probe) => {
      finishLater(probe, 20);
    });
    const targets = Array.from({ length: 20 }, (_, index) => target(index + 1));
    await checks.setTargets(targets);
    for (let stall = 0; stall < 5; stall++) {
      await until(() => [...probes.values()].some(({ isRunning }) => isRunning));
      const untilMs = performance.now() + 200;
      while (performance.now() < untilMs);
      await delay(60);
    }
    assert.equal(changes.length, 20);
    assert.deepEqual(
      [...probes.values()].filter(({ cancelled }) => cancelled > 0),
      [],
    );
  });

  it('give a slow backend all of its time, however long one stall in it is', async () => {
    const slow = { ...CHECK, intervalMs: 2_000, timeoutMs: 1_000 };
    const { checks, probes } = setUp((probe) => finishLater(probe, 700));
    const checked = checks.setTargets([target(1, { checks: [slow] })]);
    await until(() => probes.get('web/web-1')?.isRunning === true);
    await delay(500); // many short turns
    const untilMs = performance.now() + 1_500;
    while (performance.now() < untilMs);
    await checked;
    assert.deepEqual(marks(checks), { 'web/web-1': 'up' });
  });

  it('give up a silent backend, and no other, although every turn of the event loop is a long one', async () => {
    let isSilent = false;
    const { checks, changes } = setUp((probe) => {
      if (!isSilent || probe.target.name !== 'web/web-1') finishLater(probe, 1);
    });
    await checks.setTargets([target(1), target(2)]);
    isSilent = true;
    // Longer than a late tick, and than the timeout.
    const turn = setInterval(() => {
      const untilMs = performance.now() + 80;
      while (performance.now() < untilMs);
    }, 1);
    try {
      await until(() => changes.length > 2);
    } finally {
      clearInterval(turn);
    }
    assert.deepEqual(marks(checks), { 'web/web-1': 'no answer within 50ms', 'web/web-2': 'up' });
  });

  it('never run two checks of a backend at once, though none is ever answered', async () => {
    const { checks, probes } = setUp(() => {});
    await checks.setTargets(
      Array.from({ length: 50 }, (_, index) => target(index + 1, { checks: [{ ...CHECK, timeoutMs: 100 }] })),
    );
    await until(() => [...probes.values()].every(({ starts }) => starts >= 3));
    for (const { starts, cancelled } of probes.values()) assert.ok(cancelled >= starts - 1);
  });
});

describe('several checks of a backend', () => {
  const on = (port: number, change: Partial<HealthConfig> = {}) =>
    ({ ...CHECK, port, ...change }) as HealthConfig;
  /** By port: why a check fails; undefined when it is good. A port that is missing gives no answer. */
  const answering = (answers: Map<number, string | undefined>) => (probe: FakeProbe) => {
    const { check } = probe.target;
    if (check.kind === 'tcp' && answers.has(check.port)) probe.finish(answers.get(check.port));
  };
  const probeOf = ({ made }: Setup, port: number): FakeProbe =>
    made.findLast(({ target: { check } }) => check.kind === 'tcp' && check.port === port)!;
  /** What the log says of changes. */
  const told = ({ lines }: Setup) =>
    lines.map(({ msg }) => String(msg)).filter((line) => / is (up|down): /.test(line));
  const UP = { 'web/web-1': 'up' };

  it('say nothing until each has its first result', async () => {
    const waits = new Map<number, FakeProbe>();
    const setup = setUp((probe) => {
      const { check } = probe.target;
      if (check.kind === 'tcp' && check.port === 81 && waits.size === 0) waits.set(81, probe);
      else probe.finish();
    });
    const checked = setup.checks.setTargets([target(1, { checks: [on(80), on(81, { timeoutMs: 60_000 })] })]);
    await until(() => waits.size > 0 && probeOf(setup, 80).starts > 3);
    assert.deepEqual([marks(setup.checks), setup.changes], [{}, []]);
    waits.get(81)!.finish();
    await checked;
    assert.deepEqual(marks(setup.checks), UP);
    assert.deepEqual(told(setup), ['web/web-1 is up: all checks are good']);
  });

  it('take it down as soon as one fails, and up when all pass; the first in the order of the file gives the reason', async () => {
    const answers = new Map<number, string | undefined>([80, 81].map((port) => [port, undefined]));
    const setup = setUp(answering(answers));
    const { checks, changes } = setup;
    const reason = () => checks.current().get('web/web-1')!.reason;
    await checks.setTargets([target(1, { checks: [on(80), on(81, { fall: 2 })] })]);
    answers.set(81, 'HTTP status 503');
    await until(() => reason() === 'tcp 81: HTTP status 503');
    answers.set(80, 'refused');
    await until(() => reason() === 'tcp 80: refused');
    answers.set(80, undefined);
    await until(() => reason() === 'tcp 81: HTTP status 503');
    answers.set(81, undefined);
    await until(() => checks.current().get('web/web-1')!.isUp);
    assert.deepEqual(told(setup), [
      'web/web-1 is up: all checks are good',
      'web/web-1 is down: tcp 81: HTTP status 503, 2 in a row',
      'web/web-1 is up: all checks are good',
    ]);
    assert.deepEqual(
      changes.map(({ isUp }) => isUp),
      [true, false, true],
    );
  });

  it('run each on its own schedule', async () => {
    const setup = setUp();
    await setup.checks.setTargets([target(1, { checks: [on(80), on(81, { intervalMs: 3_600_000 })] })]);
    await until(() => probeOf(setup, 80).starts > 4);
    assert.equal(probeOf(setup, 81).starts, 1);
  });

  it('leave the others undisturbed when one is another check now, which takes it down by its first result', async () => {
    const answers = new Map<number, string | undefined>([80, 81, 82].map((port) => [port, undefined]));
    const setup = setUp(answering(answers));
    const { checks, made } = setup;
    await checks.setTargets([target(1, { checks: [on(80), on(81), on(82)] })]);
    answers.set(83, 'refused');
    await checks.setTargets([target(1, { checks: [on(80), on(83), on(82)] })]);
    assert.deepEqual(marks(checks), UP);
    assert.deepEqual(
      made.map(({ isClosed }) => isClosed),
      [false, true, false, false],
    );
    await until(() => checks.current().get('web/web-1')?.isUp === false);
    assert.equal(told(setup).at(-1), 'web/web-1 is down: tcp 83: refused, first check');
  });

  it('go on undisturbed when others come before them or go, and a reload alone takes no backend down', async () => {
    const setup = setUp(
      answering(
        new Map([
          [80, undefined],
          [81, 'refused'],
        ]),
      ),
    );
    const { checks, made, changes } = setup;
    await checks.setTargets([target(1, { checks: [on(80)] })]);
    await checks.setTargets([target(1, { checks: [on(81), on(80)] })]);
    assert.deepEqual(marks(checks), UP);
    await until(() => checks.current().get('web/web-1')?.isUp === false);
    await checks.setTargets([target(1, { checks: [on(80)] })]);
    assert.deepEqual(marks(checks), UP);
    assert.deepEqual(
      made.map(({ isClosed }) => isClosed),
      [false, true],
    );
    assert.equal(changes.length, 3);
    assert.deepEqual(told(setup), [
      'web/web-1 is up: the check is good, first check',
      'web/web-1 is down: tcp 81: refused, first check',
      'web/web-1 is up: the check is good',
    ]);
  });

  it('that replace one that fails leave the backend down until they pass, and do not speak in its name', async () => {
    const answers = new Map<number, string | undefined>([
      [80, undefined],
      [81, 'refused'],
    ]);
    const setup = setUp(answering(answers));
    const { checks } = setup;
    await checks.setTargets([target(1, { checks: [on(80), on(81)] })]);
    const slow = (port: number) => on(port, { timeoutMs: 60_000 });
    await checks.setTargets([target(1, { checks: [slow(82), slow(83)] })]);
    assert.deepEqual(marks(checks), { 'web/web-1': 'tcp 81: refused' });
    await until(() => setup.made.every(({ isRunning, isClosed }) => isRunning || isClosed));
    probeOf(setup, 82).finish();
    assert.equal(checks.current().get('web/web-1')?.isUp, false);
    answers.set(82, undefined);
    probeOf(setup, 83).finish('no answer');
    assert.deepEqual(marks(checks), { 'web/web-1': 'tcp 83: no answer' });
    answers.set(83, undefined);
    await until(() => checks.current().get('web/web-1')?.isUp === true);
  });

  it('that fail for what this host lacks are not held against a backend that is up', async () => {
    const setup = setUp((probe) => {
      const { check } = probe.target;
      if (check.kind === 'tcp' && check.port === 81) probe.finish('socket EMFILE', true);
      else probe.finish();
    });
    await setup.checks.setTargets([target(1)]);
    await setup.checks.setTargets([target(1, { checks: [CHECK, on(81)] })]);
    await until(() => probeOf(setup, 81).starts > 4);
    assert.deepEqual(marks(setup.checks), UP);
    const complaint = setup.lines.find(({ event }) => event === 'health_unknown');
    assert.equal(complaint?.['msg'], 'web/web-1 cannot be checked from here: socket EMFILE');
  });
});
