/** What the control side makes of backends to which no path is known, and of what it assembled before. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { type Assembly, fixedPath } from '#anyhop/node/assemble.js';
import type { Health } from '#anyhop/table/state.js';
import { parse } from '../config/fixture.js';
import { assembleConfig } from './assembled.js';

const CONFIG = `
node: {name: edge-1, interface: eth0, source: 10.0.0.1, key: "00112233445566778899aabbccddeeff"}
pools:
  web:
    table_size: 251
    backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}, {name: c, address: 10.1.0.3}]
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
`;

const known = fixedPath(1500);
const PATH = known(parse(CONFIG, 'node').pools[0].backends[0]);

/** Owners as the tables and as the image have them, when no path is known to these backends. */
function ownersWithout(...lost: string[]) {
  const config = parse(CONFIG, 'node');
  const { pools, image } = assembleConfig(config, config.node, {
    generation: 1,
    path: (backend) => (lost.includes(backend.name) ? undefined : known(backend)),
  });
  const { owners, mode } = pools[0].tables;
  const first = image.words[image.service(0) + L.SERVICE_OWNERS_OFFSET / 4] / 2;
  return { owners: [...owners], image: [...image.halves.subarray(first, first + owners.length)], mode };
}

describe('a backend to which no path is known', () => {
  const all = ownersWithout();

  it('counts as down: its slots go to the others, whose own stay', () => {
    const { owners, image, mode } = ownersWithout('b');
    assert.equal(mode, 'normal');
    assert.deepEqual(image, owners);
    assert.ok(all.owners.includes(1) && !owners.includes(1));
    for (const [slot, owner] of all.owners.entries()) if (owner !== 1) assert.equal(owners[slot], owner);
  });

  it('owns nothing in the image even where all are down and the tables name it', () => {
    const { owners, image, mode } = ownersWithout('a', 'b', 'c');
    assert.equal(mode, 'all_down');
    assert.deepEqual(owners, all.owners);
    assert.ok(image.every((owner) => owner === L.NONE));
  });
});

describe('a backend to which no path is known, where health marks are ignored', () => {
  const ownersWith = (lost: readonly string[], down: readonly string[], panic: number): string[] => {
    const config = parse(CONFIG.replace('table_size', `panic_threshold: ${panic}\n    table_size`), 'node');
    const { pools } = assembleConfig(config, config.node, {
      generation: 1,
      path: (backend) => (lost.includes(backend.name) ? undefined : known(backend)),
      health: (_, { name }) => (down.includes(name) ? 'down' : 'up'),
    });
    const { owners, names } = pools[0].tables;
    return [...new Set([...owners].map((owner) => names[owner]!))].sort();
  };

  it('owns nothing in panic, while another can be reached', () => {
    assert.deepEqual(ownersWith([], ['a', 'b'], 0.5), ['a', 'b', 'c']);
    assert.deepEqual(ownersWith(['a'], ['a', 'b'], 0.5), ['b', 'c']);
  });

  it('owns nothing with all down, while another can be reached', () => {
    assert.deepEqual(ownersWith(['a'], ['a', 'b', 'c'], 0), ['b', 'c']);
    assert.deepEqual(ownersWith(['a', 'b', 'c'], ['a', 'b', 'c'], 0), ['a', 'b', 'c']);
  });
});

const TWO_POOLS = CONFIG.replace(
  'services:',
  `  api:
    table_size: 251
    backends: [{name: d, address: 10.1.0.4}, {name: e, address: 10.1.0.5}]
services:
  - {name: api, vip: 203.0.113.11, protocol: udp, port: 53, pool: api}`,
);

it('an image made from what was assembled before is the one that is made from nothing', () => {
  const config = parse(TWO_POOLS, 'node');
  fc.assert(
    fc.property(
      fc.array(fc.subarray(['a', 'b', 'c', 'd', 'e']), { minLength: 1, maxLength: 6 }),
      (losses) => {
        let previous: Assembly | undefined;
        for (const [generation, lost] of losses.entries()) {
          const options = {
            generation,
            path: (backend: { name: string }) => (lost.includes(backend.name) ? undefined : PATH),
          };
          const fresh = assembleConfig(config, config.node, options);
          const next = assembleConfig(config, config.node, {
            ...options,
            ...(previous && { previous, numbers: previous.numbers }),
          });
          assert.deepEqual(next.image.bytes, fresh.image.bytes);
          const digests = ({ pools }: Assembly) => pools.map(({ tables }) => tables.alternatesDigest);
          assert.deepEqual(digests(next), digests(fresh));
          previous = next;
        }
      },
    ),
    { numRuns: 50 },
  );
});

it('a pool whose backends are as they were keeps its tables, so that one change costs what one pool costs', () => {
  const config = parse(TWO_POOLS, 'node');
  const first = assembleConfig(config, config.node, { generation: 1, path: () => PATH });
  const second = assembleConfig(config, config.node, {
    generation: 2,
    path: ({ name }) => (name === 'b' ? undefined : PATH),
    previous: first,
  });
  assert.notEqual(second.pools[0].tables, first.pools[0].tables);
  assert.equal(second.pools[1].tables, first.pools[1].tables);
});

describe('a backend that is down by its check', () => {
  const members = /\[\{name: a.*\]/.exec(CONFIG)![0];
  const config = parse(CONFIG.replace(members, `${members}\n    prior: ${members}`), 'node');
  const ownersOf = (health: (name: string) => Health) => {
    const { pools, image } = assembleConfig(config, config.node, {
      generation: 1,
      path: fixedPath(1500),
      health: (_, { name }) => health(name),
    });
    const first = image.words[image.service(0) + L.SERVICE_OWNERS_OFFSET / 4] / 2;
    const { owners, alternates, mode } = pools[0].tables;
    const inImage = [...image.halves.subarray(first, first + owners.length)];
    return { owners: [...owners], alternates: [...alternates], image: inImage, mode };
  };
  const all = ownersOf(() => 'up');

  it('owns nothing while others are up, and is sent to all the same when none is', () => {
    const without = ownersOf((name) => (name === 'b' ? 'down' : 'up'));
    assert.ok(!without.image.includes(1));
    const none = ownersOf(() => 'down');
    assert.equal(none.mode, 'all_down');
    assert.deepEqual(none.image, all.owners);
  });

  it('is a candidate for its older connections until it is dead', () => {
    assert.ok(ownersOf((name) => (name === 'b' ? 'down' : 'up')).alternates.includes(1));
    assert.ok(!ownersOf((name) => (name === 'b' ? 'dead' : 'up')).alternates.includes(1));
  });
});
