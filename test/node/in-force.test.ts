/** What a node hands out of its decisions: enough for the same ones to be made elsewhere, and nothing of the secret. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { inForceParts, readInForce } from '#anyhop/api/in-force.js';
import { keyFingerprint } from '#anyhop/config/key-fingerprint.js';
import { parseConfig } from '#anyhop/config/load.js';
import { Secret } from '#anyhop/config/secret.js';
import type { NodeConfig } from '#anyhop/config/types.js';
import { imageDigest } from '#anyhop/image/inspect.js';
import { type Assembly, assemble, fixedPath } from '#anyhop/node/assemble.js';
import { explain } from '#anyhop/node/explain.js';
import { assembleInForce, inForceReport } from '#anyhop/node/in-force.js';
import { parseEndpoint } from '#anyhop/packet/compose.js';
import { statesOfConfig } from '#anyhop/pool/states.js';
import { admin, health, weight } from '../table/pools.js';
import { assembleConfig, type Situation } from './assembled.js';

const KEY = '00112233445566778899aabbccddeeff';
const MOMENT = {
  node: 'edge-1',
  at: '2024-05-01T12:00:00.000Z',
  generation: 7,
  configFile: '/etc/anyhop.yaml',
};
const FROM = { from: 'the node', file: 'here.yaml' };

const members = (from: number) =>
  fc
    .array(
      fc.record({
        weight,
        state: admin,
        health,
        drained: fc.boolean(),
        agent: fc.boolean(),
        mtu: fc.constantFrom(null, 1500, 9000),
      }),
      {
        minLength: 1,
        maxLength: 8,
      },
    )
    .map((list) =>
      list.map((member, i) => ({ name: `b${from + i}`, address: `10.1.0.${from + i + 1}`, ...member })),
    );

type Members = ReturnType<typeof members> extends fc.Arbitrary<infer T> ? T : never;

function config(backends: Members, prior: Members, panic: number) {
  const written = ({ name, address, weight, state, agent }: Members[number]) => ({
    name,
    address,
    weight,
    state,
    agent,
  });
  const text = JSON.stringify({
    node: { name: 'edge-1', source: ['10.0.0.1', 'fd00::1'], key: KEY },
    pools: {
      web: {
        table_size: backends.length < 251 ? 251 : 65537,
        panic_threshold: panic,
        backends: backends.map(written),
        ...(prior.length > 0 && {
          prior: prior.map((member) => ({
            ...written(member),
            health: member.health === 'up' ? 'up' : 'down',
          })),
        }),
      },
    },
    services: [
      { name: 'web', vip: '203.0.113.10', protocol: 'tcp', port: 80, pool: 'web' },
      { name: 'many', vip: '2001:db8::10', protocol: 'udp', port: '5000-5010', pool: 'web', hash: 'source' },
    ],
  });
  return parseConfig(text, 'here.yaml', { role: 'node', env: {} });
}

describe('what a node has in force', () => {
  test('makes the same image elsewhere, whatever the marks, drains, weights and paths', () => {
    fc.assert(
      fc.property(
        members(0),
        fc.oneof(fc.constant<Members>([]), members(4)),
        fc.constantFrom(0, 0.5),
        (backends, prior, panic) => {
          const { node, ...rest } = config(backends, prior, panic);
          const known = new Map([...prior, ...backends].map((member) => [member.name, member]));
          const options: Situation = {
            generation: 7,
            path: (member) => {
              const { mtu } = known.get(member.name)!;
              return mtu === null ? undefined : fixedPath(mtu)(member);
            },
            health: (_, { name }) => known.get(name)!.health,
            drained: (name) => known.get(name)!.drained,
          };
          const there = assembleConfig(rest, node, options);
          const text = [...inForceParts(inForceReport(there, node, MOMENT))].join('');
          const here = assembleInForce(readInForce(JSON.parse(text), 'the node'), node, FROM);
          assert.equal(imageDigest(here.image), imageDigest(there.image));
        },
      ),
    );
  });

  test('makes the same image elsewhere while the flow hash key changes, for those who have the former secret', () => {
    const { node, pools, services } = config([member('b0'), member('b1'), member('b2')], [], 0);
    const former = new Secret(Buffer.from('ab'.repeat(16), 'hex'));
    const id = keyFingerprint(former.reveal());
    const served = {
      services: services.map((service) => ({ ...service, secondChance: service.protocol === 'tcp' })),
      pools: pools.map((pool) => {
        const states = statesOfConfig(pool);
        return { ...states, formerKey: id, underFormerKey: [states.state, states.state.slice(1)] };
      }),
      formerKey: (wanted: string) => (wanted === id ? former : undefined),
    };
    const there = assemble(served, node, { generation: 7, path: fixedPath(1500) });
    const report = readInForce(sent(there, node), 'the node');
    const here = assembleInForce(report, { ...node, otherKeys: [former] }, FROM);
    assert.equal(imageDigest(here.image), imageDigest(there.image));
    assert.throws(
      () => assembleInForce(report, node, FROM),
      new RegExp(`here\\.yaml has no secret with the fingerprint ${id}`),
    );
    for (let port = 1024; port < 1100; port++) {
      const [source, destination] = [`198.51.100.7:${port}`, '203.0.113.10:80'].map(
        (text) => parseEndpoint(text)!,
      );
      const { owner, key, formerKey } = explain(here, 'tcp', source!, destination!);
      assert.equal(formerKey?.id, id);
      const [holder] = formerKey!.holders;
      assert.deepEqual(
        [key?.backends[0] === holder, owner === holder].filter(Boolean),
        [true],
        `port ${port}`,
      );
    }
  });

  test('says nothing of the secret', () => {
    const { node, ...rest } = config([member('b0')], [], 0);
    const assembly = assembleConfig(rest, node, { generation: 7, path: fixedPath(1500) });
    const text = [...inForceParts(inForceReport(assembly, node, MOMENT))].join('');
    assert.ok(!text.includes(KEY));
    const fields = Object.keys(JSON.parse(text));
    assert.deepEqual(fields.sort(), [
      'at',
      'configFile',
      'flowHashVersion',
      'generation',
      'keyFingerprint',
      'node',
      'pools',
      'services',
      'source4',
      'source6',
    ]);
  });

  test('is refused where another version of the flow hash runs', () => {
    const { node, ...rest } = config([member('b0')], [], 0);
    const report = sent(assembleConfig(rest, node, { generation: 7, path: fixedPath(1500) }), node);
    for (const flowHashVersion of [1, undefined])
      assert.throws(
        () => readInForce({ ...report, flowHashVersion }, 'it'),
        /what it has in force is not understood: flowHashVersion: /,
      );
  });

  test('is refused for another secret, and where it makes other tables than the node has', () => {
    const { node, ...rest } = config([member('b0'), member('b1')], [], 0);
    const assembly = assembleConfig(rest, node, { generation: 7, path: fixedPath(1500) });
    const report = sent(assembly, node);
    assert.throws(
      () => assembleInForce(readInForce({ ...report, keyFingerprint: '0011' }, 'it'), node, FROM),
      /the secret of here\.yaml is not the one that node edge-1 forwards by/,
    );
    const pools = report.pools.map((pool: object) => ({ ...pool, owners: '00' }));
    assert.throws(
      () => assembleInForce(readInForce({ ...report, pools }, 'it'), node, FROM),
      /the node has in force is not understood: pool web makes other tables here than there/,
    );
  });

  test('is sent whole in as many parts as it takes', () => {
    const many = Array.from({ length: 600 }, (_, i) => ({
      ...member(`b${i % 200}`),
      name: `b${i}`,
      address: `10.1.${i >> 8}.${i & 255}`,
    }));
    const { node, ...rest } = config(many, many.slice(0, 257), 0);
    const assembly = assembleConfig(rest, node, { generation: 7, path: fixedPath(1500) });
    const parts = [...inForceParts(inForceReport(assembly, node, MOMENT))];
    assert.ok(parts.every((part) => part.length < 64 * 1024));
    const [pool] = JSON.parse(parts.join('')).pools;
    assert.deepEqual([pool.backends.length, pool.remembered[0].length], [600, 257]);
    assert.deepEqual(
      pool.backends.map(({ name }: { name: string }) => name),
      many.map(({ name }) => name),
    );
  });

  test('is refused with the place of what is no such thing', () => {
    assert.throws(
      () => readInForce({}, '/run/x.sock'),
      /\/run\/x\.sock has in force is not understood: node: /,
    );
    assert.throws(() => readInForce(null, 'it'), /not understood/);
  });
});

/** What a client gets. */
function sent(...of: [Assembly, NodeConfig]) {
  return JSON.parse([...inForceParts(inForceReport(...of, MOMENT))].join(''));
}

function member(name: string): Members[number] {
  return {
    name,
    address: `10.1.0.${1 + Number(name.slice(1))}`,
    weight: 1,
    state: 'active',
    health: 'up',
    drained: false,
    agent: true,
    mtu: 1500,
  };
}
