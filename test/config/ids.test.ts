/** The ids that backends get: what holds of them whatever the config, and what a user has to do about the others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { join, NODE, parse, problemsOf, SERVICES } from './fixture.js';

interface Line {
  readonly address: string;
  readonly agent: boolean;
  readonly id: number | undefined;
}

const ON = SERVICES.replace('pool: web}', 'pool: web, second_chance: on}');
const textOf = (lines: readonly Line[], services = ON): string =>
  join({
    pools: `pools:
  web:
    backends:
${lines.map(({ address, agent, id }, i) => `      - {name: b${i}, address: "${address}", agent: ${agent}${id === undefined ? '' : `, id: ${id}`}}\n`).join('')}  dns:
    backends: [{name: dns-1, address: 10.9.0.11}]
`,
    services,
  });
const webIds = (config: LoadedConfig): number[] => config.pools[0].backends.map(({ id }) => id);
const warningsOf = (text: string): string[] =>
  parse(text, 'node').warnings.map(({ field, message }) => `${field}: ${message}`);

/** Few networks and hosts, so that ids meet. */
const address = fc
  .tuple(
    fc.constantFrom('10.1.', '10.2.', 'fd00::'),
    fc.constantFrom(0, 1, 128),
    fc.integer({ min: 0, max: 3 }),
  )
  .map(([net, high, low]) =>
    net === 'fd00::'
      ? `${net}${((high << 8) | low | 0x10000).toString(16).slice(1)}`
      : `${net}${high}.${low}`,
  )
  .filter((text) => text !== 'fd00::0000');
const lines = fc.uniqueArray(
  fc.record<Line>({
    address,
    agent: fc.boolean(),
    id: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  }),
  { selector: (line) => line.address, minLength: 1, maxLength: 12 },
);

describe('ids of backends', () => {
  it('are the low 15 bits of the address, of IPv6 too', () => {
    const text = textOf(
      ['10.1.0.11', '10.1.255.12', 'fd00::ffff'].map((address) => ({ address, agent: true, id: undefined })),
    );
    assert.deepEqual(webIds(parse(text)), [11, 0x7f0c, 0x7fff]);
  });

  it('name one address each where second chance is on, once every free id that is printed is in the file', () => {
    fc.assert(
      fc.property(lines, (first) => {
        let now: readonly Line[] = first;
        for (let round = 0; problemsOf(textOf(now)).length > 0; round++) {
          assert.ok(round < 2, 'the lines that were printed are not enough');
          const offers = problemsOf(textOf(now)).map(({ field, message }) => {
            const [, index] = /^pools\.web\.backends\[(\d+)\]\.(?:id|address)$/.exec(field)!;
            const [, id] = /: id: (\d+)$/.exec(message)!;
            return [Number(index), Number(id)] as const;
          });
          now = now.map((line, i) => ({ ...line, id: offers.find(([at]) => at === i)?.[1] ?? line.id }));
        }
        const ids = webIds(parse(textOf(now)));
        const named = ids.filter((id) => id !== 0);
        assert.equal(new Set(named).size, named.length, 'one id for two');
        for (const [i, { id, agent }] of now.entries()) {
          assert.ok(id === undefined || ids[i] === id, 'not the one that is written');
          assert.ok(!agent || ids[i] !== 0, 'an agent without an id');
        }
      }),
    );
  });

  it('are lacking only to backends without an agent, and a warning gives each of these a free one', () => {
    fc.assert(
      fc.property(lines, (drawn) => {
        const text = textOf(drawn);
        fc.pre(problemsOf(text).length === 0);
        const without = webIds(parse(text)).flatMap((id, i) => (id === 0 ? [i] : []));
        assert.deepEqual(
          warningsOf(text).flatMap(
            (warning) =>
              /^pools\.web\.backends\[(\d+)\]\.address: .*to make it one, add id: \d+$/.exec(warning)?.[1] ??
              [],
          ),
          without.map(String),
        );
      }),
    );
  });

  it('go to backends that need one first, whatever their order', () => {
    const tunnel = { address: '10.1.0.11', agent: false, id: undefined };
    const text = textOf([tunnel, { address: '10.2.0.11', agent: true, id: undefined }]);
    assert.deepEqual(webIds(parse(text)), [0, 11]);
    assert.deepEqual(
      warningsOf(text).filter((warning) => warning.includes('.address')),
      [
        'pools.web.backends[0].address: the low 15 bits of 10.1.0.11 are 11, the id of 10.2.0.11 of pools.web.backends[1] (line 11): ' +
          'without an id it is never an alternate; to make it one, add id: 32767',
      ],
    );
  });

  it('of one address are the same in all pools with second chance, written once', () => {
    const pools = `pools:
  web:
    backends: [{name: a, address: 10.1.0.11}]
    prior: [{name: a, address: 10.1.0.11}, {name: b, address: 10.1.0.12}]
  dns:
    backends: [{name: d, address: 10.1.0.11, id: 77}]
`;
    const services = ON.replace(
      'protocol: udp, port: 53, pool: dns}',
      'protocol: tcp, port: 53, pool: dns, second_chance: on}',
    );
    const [web, dns] = parse(join({ pools, services })).pools;
    assert.deepEqual(
      [web.backends[0].id, web.prior?.[0].id, web.prior?.[1].id, dns.backends[0].id],
      [77, 77, 12, 77],
    );
  });

  it('are nothing to services without second chance: 10.1.0.11 and 10.2.0.11 get along', () => {
    const lines = ['10.1.0.11', '10.2.0.11', '10.3.128.0'].map((address) => ({
      address,
      agent: true,
      id: undefined,
    }));
    assert.deepEqual(problemsOf(textOf(lines, SERVICES)), []);
    assert.deepEqual(webIds(parse(textOf(lines, SERVICES))), [11, 11, 0]);
    assert.equal(problemsOf(textOf(lines)).length, 2);
  });

  it('leave second_chance_prefix without a use, and a warning says so', () => {
    const node = `${NODE}  second_chance_prefix: fd00:0:0:1::/96\n`;
    const text = join({
      node,
      pools:
        'pools: {web: {backends: [{name: a, address: "fd00:7::9"}]}, dns: {backends: [{name: d, address: 10.1.0.53}]}}\n',
      services: ON,
    });
    assert.deepEqual(
      warningsOf(text).filter((warning) => warning.includes('prefix')),
      [
        'node.second_chance_prefix: not used any more: ids name backends in GRE keys; remove it, for the next version refuses it',
      ],
    );
  });
});
