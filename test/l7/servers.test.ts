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
  saidAgainst,
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

/** What the command in a warning says of the server. */
function commandIn(text: string, key: string): ServerPatch {
  const [, verb, target, weight] = /`anyhop l7 (\w+) (\S+?)(?: (\d+))?` ends that$/.exec(text)!;
  assert.equal(target, key);
  if (verb === 'weight') return { weight: Number(weight) };
  return { state: verb === 'drain' ? 'draining' : 'active' };
}

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

  it('against the config is told with the command that ends it, and is not told any more then', () => {
    fc.assert(
      fc.property(servers, patch, (list, one) => {
        const config = configOf(list);
        const key = serverKey('u', list[0]!.name);
        const said = override(new Map(), config, key, one);
        const told = saidAgainst(said, config);
        assert.equal(told.length, Object.keys(said.get(key) ?? {}).length);
        const ended = told.reduce((all, text) => override(all, config, key, commandIn(text, key)), said);
        assert.deepEqual(saidAgainst(ended, config), []);
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
