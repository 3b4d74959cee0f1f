/** The metrics of backends are the same, whether they were made from nothing or from what was there before. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { COUNTERS_PER_ENTRY } from '#anyhop/forward/counters.js';
import type { MetricTable } from '#anyhop/metrics/table.js';
import { type Assembly, fixedPath } from '#anyhop/node/assemble.js';
import { BackendColumns } from '#anyhop/node/backend-columns.js';
import { parse } from '../config/fixture.js';
import { assembleConfig } from './assembled.js';

const POOLS = ['web', 'api'] as const;
const NAMES = ['a', 'b', 'c', 'd'] as const;

interface Member {
  readonly name: (typeof NAMES)[number];
  readonly isDown: boolean;
  readonly isDraining: boolean;
  readonly isLost: boolean;
  readonly agent: boolean;
}

const member = (name: Member['name']): fc.Arbitrary<Member> =>
  fc.record({
    name: fc.constant(name),
    isDown: fc.boolean(),
    isDraining: fc.boolean(),
    isLost: fc.boolean(),
    agent: fc.boolean(),
  });
const members = fc
  .subarray([...NAMES], { minLength: 1 })
  .chain((names) => fc.tuple(...names.map(member)) as fc.Arbitrary<Member[]>);
const fleet = fc.record({ web: members, api: members });
type Fleet = Readonly<Record<(typeof POOLS)[number], readonly Member[]>>;

function assembled(pools: Fleet, before: Assembly | undefined): Assembly {
  const text = POOLS.map((pool, i) => {
    const backends = pools[pool].map((one) => {
      const state = one.isDraining ? 'draining' : 'active';
      return `{name: ${one.name}, address: 10.${i + 1}.0.${NAMES.indexOf(one.name) + 1}, agent: ${one.agent}, state: ${state}}`;
    });
    return `  ${pool}:\n    table_size: 251\n    backends: [${backends.join(', ')}]`;
  });
  const config = parse(
    `
node: {name: edge-1, interface: eth0, source: 10.0.0.1, key: "00112233445566778899aabbccddeeff"}
pools:
${text.join('\n')}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: api, vip: 203.0.113.10, protocol: tcp, port: 81, pool: api}
`,
    'node',
  );
  const find = (pool: string, name: string): Member =>
    pools[pool as keyof Fleet].find((one) => one.name === name)!;
  const path = fixedPath(1500);
  return assembleConfig(config, config.node, {
    generation: (before?.image.generation ?? 0) + 1,
    health: ({ name: pool }, { name }) => (find(pool, name).isDown ? 'down' : 'up'),
    path: (backend) => {
      const pool = backend.address.text.startsWith('10.1.') ? 'web' : 'api';
      return pools[pool].find(({ name }) => name === backend.name)?.isLost ? undefined : path(backend);
    },
    ...(before && { numbers: before.numbers, previous: before }),
  });
}

function drawn(tables: readonly MetricTable[]): Record<string, number> {
  const series: Record<string, number> = {};
  for (const { rows, columns } of tables)
    for (const [name, values] of Object.entries(columns))
      for (const [i, row] of rows.entries()) series[`${name} ${row.join(' ')}`] = values![i]!;
  return series;
}

describe('the metrics of backends', () => {
  it('are those of the image in force, whatever images were in force before', () => {
    fc.assert(
      fc.property(fc.array(fleet, { minLength: 1, maxLength: 5 }), (fleets) => {
        const columns = new BackendColumns();
        let assembly: Assembly | undefined;
        for (const pools of fleets) {
          assembly = assembled(pools, assembly);
          const counted = new Float64Array(assembly.numbers.backends.size * COUNTERS_PER_ENTRY).map(
            (_, i) => i + 1,
          );
          const agent = (address: string) => ({
            reachable: true,
            at: '',
            connections: Number(address.at(-1)),
          });
          const told = drawn(columns.tables(assembly, counted, agent));
          assert.deepEqual(told, drawn(new BackendColumns().tables(assembly, counted, agent)));
          for (const pool of POOLS) {
            for (const { name, isDown, isLost, isDraining, agent: hasAgent } of pools[pool]) {
              const of = (family: string, ...more: string[]): number | undefined =>
                told[[`anyhop_backend_${family}`, pool, name, ...more].join(' ')];
              const number = assembly.numbers.backends.of(`${pool}/${name}`);
              assert.equal(of('packets_total'), number * COUNTERS_PER_ENTRY + 1);
              assert.equal(of('bytes_total'), number * COUNTERS_PER_ENTRY + 2);
              assert.equal(of('up'), Number(!isDown && !isLost));
              assert.equal(of('reachable'), Number(!isLost));
              assert.equal(of('path_mtu_bytes'), isLost ? Number.NaN : 1500);
              assert.equal(of('state', 'draining'), Number(isDraining));
              assert.equal(of('state', 'active'), Number(!isDraining));
              assert.equal(of('open_connections'), hasAgent ? NAMES.indexOf(name) + 1 : Number.NaN);
            }
            const slots = pools[pool].reduce(
              (sum, { name }) => sum + told[`anyhop_backend_slots ${pool} ${name}`]!,
              0,
            );
            assert.ok(slots <= 251);
          }
          assert.equal(
            Object.keys(told).length,
            11 * (pools.web.length + pools.api.length),
            'and of no other',
          );
        }
      }),
      { numRuns: 20 },
    );
  });
});
