/** What is said of servers at runtime: laws of the overrides over any config. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { L7Config } from '#anyhop/config/l7/types.js';
import {
  override,
  readOverrides,
  type ServerOverrides,
  type ServerPatch,
  serverKey,
  stillNeeded,
  withOverrides,
} from '#anyhop/l7/servers.js';

type Server = { name: string; weight: number; state: 'active' | 'draining' };
const server = fc.record(
  {
    name: fc.constantFrom('a', 'b', 'c'),
    weight: fc.nat(256),
    state: fc.constantFrom<'active' | 'draining'>('active', 'draining'),
  },
  { noNullPrototype: true },
);
const servers = fc.uniqueArray(server, { selector: ({ name }) => name, minLength: 1 });
const patch: fc.Arbitrary<ServerPatch> = fc.record(
  { weight: fc.nat(256), state: fc.constantFrom<'active' | 'draining'>('active', 'draining') },
  { requiredKeys: [] },
);
const configOf = (list: readonly Server[]): L7Config =>
  ({ upstreams: [{ name: 'u', servers: list }] }) as unknown as L7Config;
const serversOf = (config: L7Config): readonly Server[] =>
  config.upstreams[0]!.servers as unknown as readonly Server[];

describe('what is said of a server', () => {
  it('holds for that server alone, over what the config says, the last word first', () => {
    fc.assert(
      fc.property(servers, fc.array(patch, { maxLength: 5 }), (list, patches) => {
        const config = configOf(list);
        const { name } = list[0]!;
        const said = patches.reduce<ServerOverrides>(
          (all, one) => override(all, config, serverKey('u', name), one),
          new Map(),
        );
        const [first, ...others] = serversOf(withOverrides(config, said));
        assert.deepEqual(first, Object.assign({ ...list[0]! }, ...patches));
        assert.deepEqual(others, list.slice(1));
      }),
    );
  });

  it('ends when the config says the same, and when the config no longer has the server', () => {
    fc.assert(
      fc.property(servers, patch, (list, one) => {
        const { name } = list[0]!;
        const said = override(new Map(), configOf(list), serverKey('u', name), one);
        const inFile = list.map((each) => (each.name === name ? { ...each, ...one } : each));
        assert.equal(stillNeeded(said, configOf(inFile)).size, 0);
        assert.equal(stillNeeded(said, configOf(list.slice(1))).size, 0);
      }),
    );
  });

  it('survives a restart as it was', () => {
    fc.assert(
      fc.property(servers, patch, (list, one) => {
        const said = override(new Map(), configOf(list), serverKey('u', list[0]!.name), one);
        assert.deepEqual(readOverrides(JSON.parse(JSON.stringify(Object.fromEntries(said)))), said);
      }),
    );
  });

  it('is not read from a file of another shape', () => {
    for (const wrong of [
      null,
      [],
      'x',
      { a: 1 },
      { a: { weight: 257 } },
      { a: { weight: -1 } },
      { a: { state: 'down' } },
    ])
      assert.equal(readOverrides(wrong), undefined, JSON.stringify(wrong));
  });
});
