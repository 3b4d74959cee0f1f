/** `show proc`, as HAProxy 2.6 prints it, and whatever else may come. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readProcesses } from '#anyhop/l7/haproxy/processes.js';

/** A row as HAProxy prints it. */
function row(pid: number, type: string, reloads: string, version: string): string {
  return `${String(pid).padEnd(15)} ${type.padEnd(15)} ${reloads.padEnd(15)} ${'0d00h00m40s'.padEnd(15)} ${version.padEnd(15)}\n`;
}

const HEAD = '#<PID>          <type>          <reloads>       <uptime>        <version>      \n';

describe('the list of processes', () => {
  const plain = { noNullPrototype: true };
  const pid = fc.integer({ min: 1, max: 4_194_304 });
  const process = fc.record(
    { pid, reloads: fc.nat(), version: fc.constantFrom('2.6.12-1+deb12u3', '3.0.5-8e879a5') },
    plain,
  );
  const processes = fc.record(
    {
      master: fc.record(
        { pid, reloads: fc.nat(), version: fc.constant('2.6.12'), failedReloads: fc.nat() },
        plain,
      ),
      workers: fc.array(process, { maxLength: 2 }),
      oldWorkers: fc.array(process, { maxLength: 20 }),
    },
    plain,
  );

  it('is read back from what HAProxy prints', () => {
    fc.assert(
      fc.property(processes, ({ master, workers, oldWorkers }) => {
        const rows = (list: typeof workers): string =>
          list.map(({ pid, reloads, version }) => row(pid, 'worker', String(reloads), version)).join('');
        const old = oldWorkers.length > 0 ? `# old workers\n${rows(oldWorkers)}` : '';
        const text =
          HEAD +
          row(master.pid, 'master', `${master.reloads} [failed: ${master.failedReloads}]`, master.version) +
          `# workers\n${rows(workers)}${old}# programs\n${row(77, 'dataplane', '0', '-')}\n`;
        assert.deepEqual(readProcesses(text), { master, workers, oldWorkers });
      }),
    );
  });

  it('is read without a count of failures, which versions before 2.6 do not have', () => {
    assert.deepEqual(readProcesses(`${HEAD}${row(5, 'master', '3', '2.5.0')}`)?.master, {
      pid: 5,
      reloads: 3,
      version: '2.5.0',
      failedReloads: 0,
    });
  });

  it('is unknown without a master', () => {
    for (const text of ['', '\n', 'Unknown command', `${HEAD}# workers\n${row(5, 'worker', '0', '2.6')}`])
      assert.equal(readProcesses(text), undefined);
  });

  it('never has a process that is no process, whatever comes', () => {
    const parts = fc.oneof(
      fc.constantFrom(
        HEAD,
        '# workers\n',
        '# old workers\n',
        '\n',
        ' ',
        'master',
        'worker',
        '[failed: ',
        '0d00h00m00s',
        '0',
        '-1',
      ),
      fc.string({ unit: 'binary' }),
      pid.map((each) => row(each, 'master', '0', '2.6')),
      pid.map((each) => row(each, 'worker', '0', '2.6')),
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 40 }), (all) => {
        const found = readProcesses(all.join(''));
        if (found === undefined) return;
        for (const each of [found.master, ...found.workers, ...found.oldWorkers]) {
          assert.ok(Number.isInteger(each.pid) && each.pid > 0);
          assert.ok(Number.isInteger(each.reloads) && each.reloads >= 0);
          assert.match(each.version, /^\S+$/);
        }
      }),
    );
  });
});
