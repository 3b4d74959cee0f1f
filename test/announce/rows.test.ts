/** Rows of a real routing table, in a network namespace, beside rows of others. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';
import type { ChangeText, RowText } from './rows-process.js';

const PROGRAM = fileURLToPath(new URL('./rows-process.js', import.meta.url));
const TIMEOUT_MS = 60_000;
const TABLE = 179;
const MAIN = 254;
const NOBODY = 65534;
const V4 = '192.0.2.1';
const V6 = '2001:db8::1';
/** A program with no capability but this one, and no privileged user. */
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--no-new-privs'];
const ONLY_NET_ADMIN = [...AS_NOBODY, '--inh-caps=-all,+net_admin', '--ambient-caps=-all,+net_admin'];
const NO_CAPABILITY = [...AS_NOBODY, '--inh-caps=-all', '--bounding-set=-all'];

interface Outcome {
  readonly changes: number;
  readonly refused: readonly [vip: string, metric: number, taken: boolean, reason: string][];
  readonly ms: number;
}

interface Rows {
  read(): Promise<RowText[]>;
  /** Turns what is there into these rows. */
  want(...rows: RowText[]): Promise<Outcome>;
  change(...changes: ChangeText[]): Promise<Outcome>;
  /** Lines of `ip -batch`, for rows of others; those that start with -6 come last. */
  ip(...lines: string[]): Promise<void>;
  /** All rows of the table, as `ip` shows them. */
  show(): Promise<string[]>;
}

async function withRows(
  work: (rows: Rows) => Promise<void>,
  table = TABLE,
  as: readonly string[] = [],
): Promise<void> {
  const resources = new Resources();
  const namespace = resources.addNamespace('rows');
  const [program = '', ...args] = inNamespace(namespace, [...as, process.execPath, PROGRAM, String(table)]);
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async <T>(order: object): Promise<T> => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value } = await lines.next();
    return JSON.parse(value as string) as T;
  };
  const ip = async (...batch: string[]): Promise<void> => {
    const [four, six] = [false, true].map((want) => batch.filter((line) => line.startsWith('-6 ') === want));
    const input6 = six!.map((line) => line.slice('-6 '.length));
    await run(['ip', '-n', namespace, '-batch', '-'], { input: `${four!.join('\n')}\n` });
    await run(['ip', '-6', '-n', namespace, '-batch', '-'], { input: `${input6.join('\n')}\n` });
  };
  try {
    await ip('link set lo up');
    await work({
      read: () => ask({ do: 'read' }),
      want: (...rows) => ask({ do: 'want', rows }),
      change: (...changes) => ask({ do: 'change', changes }),
      ip,
      show: async () => {
        const shown = await Promise.all(
          ['-4', '-6'].map((family) =>
            run(['ip', '-n', namespace, family, 'route', 'show', 'table', String(table)], { mayFail: true }),
          ),
        );
        return shown
          .join('')
          .split('\n')
          .map((line) => line.trim())
          .filter(Boolean);
      },
    });
  } finally {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
    await resources.close();
  }
}

/** As they are found: IPv4 first, in the order of addresses. */
function manyRows(count: number, metric: number): RowText[] {
  return [
    ...Array.from({ length: count }, (_, i): RowText => [`198.18.${i >> 8}.${i & 255}`, metric]),
    ...Array.from(
      { length: count },
      (_, i): RowText => [i === 0 ? '2001:db8::' : `2001:db8::${i.toString(16)}`, metric],
    ),
  ];
}

async function report(context: TestContext, what: string, work: Promise<Outcome>): Promise<Outcome> {
  const outcome = await work;
  context.diagnostic(`${what}: ${outcome.changes} changes in ${outcome.ms.toFixed(1)} ms`);
  return outcome;
}

describe('rows that announce VIPs', { skip: missingForIsolation('setpriv') }, () => {
  test('a row is a blackhole of protocol 179 in its table; a table that is not there has none', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withRows(async ({ read, want, show }) => {
      assert.deepEqual(await read(), []);
      assert.equal((await want([V4, 100], [V6, 4_294_967_295])).changes, 2);
      assert.deepEqual(await show(), [
        `blackhole ${V4} proto 179 metric 100`,
        `blackhole ${V6} dev lo proto 179 metric 4294967295 pref medium`,
      ]);
      assert.deepEqual(await read(), [
        [V4, 100],
        [V6, 4_294_967_295],
      ]);
      assert.equal((await want()).changes, 2);
      assert.deepEqual(await show(), []);
    });
  });

  test('1,000 VIPs of each IP version come, change their metric and go, with CAP_NET_ADMIN and no other capability', {
    timeout: TIMEOUT_MS,
  }, async (context) => {
    await withRows(
      async ({ read, want, show }) => {
        const before = performance.now();
        const [ready, draining] = [manyRows(1000, 100), manyRows(1000, 200)];
        for (const [what, rows, changes] of [
          ['announced', ready, 2000],
          ['draining', draining, 4000],
          ['as they are', draining, 0],
        ] as const) {
          const outcome = await report(context, what, want(...rows));
          assert.deepEqual([outcome.changes, outcome.refused], [changes, []]);
          assert.deepEqual(await read(), rows);
        }
        assert.equal((await show()).length, 2000);
        assert.equal((await report(context, 'withdrawn', want())).changes, 2000);
        assert.deepEqual(await show(), []);
        context.diagnostic(
          `all of it, with reading and showing: ${Math.round(performance.now() - before)} ms`,
        );
      },
      // A number that needs all of its 32 bits.
      4_000_000_000,
      ONLY_NET_ADMIN,
    );
  });

  test('rows of others are not seen and not touched, whatever they have in common with one of ours', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withRows(async ({ read, want, show, ip }) => {
      await ip(
        'link add eth0 type veth peer name eth1',
        'addr add 10.0.0.1/24 dev eth0',
        'link set eth0 up',
        'link set eth1 up',
        // The same prefix with another metric: by protocol, type, TOS.
        `route add blackhole ${V4} table 179 proto static metric 50`,
        `route add unreachable ${V4} table 179 proto 179 metric 51`,
        `route add blackhole ${V4} tos 8 table 179 proto 179 metric 100`,
        `-6 route add blackhole ${V6} table 179 proto static metric 50`,
        `-6 route add unreachable ${V6} table 179 proto 179 metric 51`,
        // A wider prefix, another VIP, another table.
        'route add blackhole 192.0.2.0/24 table 179 proto 179 metric 100',
        '-6 route add blackhole 2001:db8::/64 table 179 proto 179 metric 100',
        'route add 192.0.2.9 dev eth0 table 179 proto 179 metric 100',
        '-6 route add 2001:db8::9 dev eth0 table 179 proto 179 metric 100',
        `route add blackhole ${V4} table 180 proto 179 metric 100`,
        `-6 route add blackhole ${V6} table 180 proto 179 metric 100`,
      );
      const others = await show();
      assert.equal(others.length, 9);
      assert.deepEqual(await read(), []);
      assert.deepEqual((await want([V4, 100], [V6, 100])).refused, []);
      assert.deepEqual(await read(), [
        [V4, 100],
        [V6, 100],
      ]);
      // IPv6 takes a row of another interface before ours; of two with one metric, only ours may go.
      await ip('-6 route append blackhole 2001:db8::9 table 179 proto 179 metric 100');
      assert.equal((await want()).changes, 3);
      assert.deepEqual(await show(), others);
    });
  });

  test('a row that another program has is refused with who that is', { timeout: TIMEOUT_MS }, async () => {
    await withRows(async ({ read, want, ip }) => {
      await ip(
        `route add blackhole ${V4} table 179 proto static metric 100`,
        `-6 route add unreachable ${V6} table 179 proto bird metric 100`,
        `route add throw 192.0.2.2 table 179 proto 77 metric 100`,
      );
      const { refused } = await want([V4, 100], ['192.0.2.2', 100], [V6, 100], ['2001:db8::2', 100]);
      assert.deepEqual(refused, [
        [V4, 100, true, `another program (proto static) has the row blackhole ${V4}/32 table 179 metric 100`],
        [
          '192.0.2.2',
          100,
          true,
          'another program (proto 77) has the row throw 192.0.2.2/32 table 179 metric 100',
        ],
        [
          V6,
          100,
          true,
          `another program (proto bird) has the row unreachable ${V6}/128 table 179 metric 100`,
        ],
      ]);
      assert.deepEqual(await read(), [['2001:db8::2', 100]]);
    });
  });

  test('the main table holds rows beside its other routes', { timeout: TIMEOUT_MS }, async (context) => {
    await withRows(async ({ read, want, ip, show }) => {
      await ip('link add eth0 type veth peer name eth1', 'link set eth0 up', 'link set eth1 up');
      await ip(
        ...Array.from(
          { length: 30_000 },
          (_, i) =>
            `route add 100.${64 + (i >> 14)}.${(i >> 6) & 255}.${(i & 63) * 4}/32 dev eth0 proto bird`,
        ),
        `route add ${V4} dev eth0 metric 100`,
        'route add blackhole 203.0.113.1 proto bird metric 100',
        `-6 route add blackhole ${V6} proto bird metric 100`,
      );
      const others = await show();
      await report(context, 'beside 30,000 routes', want(['198.51.100.1', 100], ['2001:db8::2', 100]));
      assert.deepEqual(await read(), [
        ['198.51.100.1', 100],
        ['2001:db8::2', 100],
      ]);
      const { refused } = await want([V4, 100], ['203.0.113.1', 100], [V6, 100]);
      assert.deepEqual(
        refused.map(([, , isTaken, reason]) => [isTaken, reason]),
        [
          [true, `another program (proto boot) has the row unicast ${V4}/32 table 254 metric 100`],
          // Behind more routes than are searched.
          [true, 'another program has the row 203.0.113.1/32 table 254 metric 100'],
          [true, `another program (proto bird) has the row blackhole ${V6}/128 table 254 metric 100`],
        ],
      );
      assert.deepEqual(await show(), others);
    }, MAIN);
  });

  test('a row that is there already, or gone already, is as good as changed', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withRows(async ({ change, read, ip }) => {
      await ip(
        'link add eth0 type veth peer name eth1',
        'link set eth0 up',
        `route add blackhole ${V4} table 179 proto 179 metric 100`,
        `-6 route add ${V6} dev eth0 table 179 proto static metric 100`,
        `-6 route append blackhole ${V6} table 179 proto 179 metric 100`,
      );
      const { changes, refused } = await change(
        ['add', V4, 100],
        ['add', V6, 100],
        ['delete', '192.0.2.2', 100],
        ['delete', '2001:db8::2', 100],
      );
      assert.deepEqual([changes, refused], [4, []]);
      assert.deepEqual(await read(), [
        [V4, 100],
        [V6, 100],
      ]);
    });
  });

  test('without CAP_NET_ADMIN rows can be read; a change is refused as a whole, and names the capability', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withRows(
      async ({ read, want, ip }) => {
        await ip(`route add blackhole ${V4} table 179 proto 179 metric 100`);
        assert.deepEqual(await read(), [[V4, 100]]);
        assert.deepEqual(await want([V6, 100]), {
          error: 'ERR_CAPABILITY',
          message: 'routing table 179 cannot be changed: the capability CAP_NET_ADMIN is missing',
        });
        assert.deepEqual(await read(), [[V4, 100]]);
      },
      TABLE,
      NO_CAPABILITY,
    );
  });
});
