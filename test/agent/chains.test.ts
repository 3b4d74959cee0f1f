/**
 * Packets on their way through several agents whose configs differ. Each agent is the real program with maps of its own config;
 * the ids of the configs are drawn at random, as no settle time would allow. A model of a few lines says what must become of each
 * packet.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { AGENT_PROGRAM, readVerdicts } from '#anyhop/agent/program.js';
import { BACKEND_ID_MAX } from '#anyhop/core/limits.js';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { keyIndex, keyWord } from '#anyhop/packet/second-chance-key.js';
import { frame, gre, ipv4, payload, tcp } from '../packets/build.js';
import { decapsulate, decodeFrame } from '../packets/decode.js';
import { HOP, loadAgent, outer4, SKIP, VIP } from './fixture.js';

const HOSTS = 6;
/** A fleet's file in as many versions; each agent may have read any of them. */
const VERSIONS = 4;
const CHAINS = 20_000;
/** The last host has no agent. */
const BARE = HOSTS - 1;

const hosts = Array.from({ length: HOSTS }, (_, host) => host);
const addressOf = (host: number): string => `10.1.0.${host + 1}`;

/** The id of each host; undefined for one that the version does not have. */
type Version = readonly (number | undefined)[];

/** Version n does not have host n. */
const version = (n: number): fc.Arbitrary<Version> =>
  fc
    .shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8], { minLength: HOSTS, maxLength: HOSTS })
    .map((ids) => ids.map((id, host) => (host === n ? undefined : id)));

function textOf(ids: Version): string {
  const backends = ids.flatMap((id, host) =>
    id === undefined
      ? []
      : [`      - {name: web-${host}, address: ${addressOf(host)}, id: ${id}, agent: ${host !== BARE}}`],
  );
  return [
    'pools:',
    '  web:',
    '    backends:',
    ...backends,
    'services:',
    `  - {name: web, vip: ${VIP}, protocol: tcp, port: 80, pool: web, second_chance: on}`,
    'agent:',
    '  forwarders: [10.0.0.0/28]',
    '',
  ].join('\n');
}

interface Step {
  readonly verdict: string;
  /** Where it goes on to, and by which key; undefined for none. */
  readonly to?: number;
  readonly key?: number | undefined;
}

/** Also where it is 0. */
const idAt = (key: number, index: number): number => (index === 1 ? key >>> 15 : key) & BACKEND_ID_MAX;

/** What an agent does with a packet of no connection. @param from the host that sent it; undefined for a forwarder */
function model(ids: Version, host: number, from: number | undefined, key: number | undefined): Step {
  if (from !== undefined && ids[from] === undefined) return { verdict: 'drop_stranger' };
  if (key === undefined) return { verdict: 'delivered' };
  const index = keyIndex(key);
  if (index > 0 && ids.indexOf(idAt(key, index)) !== host) return { verdict: 'drop_id_stale' };
  for (let next = index + 1; next <= 2; next++) {
    const id = idAt(key, next);
    if (id === 0) break;
    const to = ids.indexOf(id);
    if (to === host) continue;
    if (to < 0) return { verdict: 'drop_peer_unknown' };
    return {
      verdict: 'sent_on',
      to,
      key: to === BARE ? undefined : keyWord(next, idAt(key, 1), idAt(key, 2)),
    };
  }
  return { verdict: 'delivered' };
}

describe('packets that several agents send on', { skip: SKIP }, () => {
  const seed = Number(process.env['ANYHOP_SEED'] ?? Date.now() % 2 ** 31);
  const [versions] = fc.sample(fc.tuple(...Array.from({ length: VERSIONS }, (_, n) => version(n))), {
    numRuns: 1,
    seed,
  });
  /** By version and host; none where the version does not have the host, or it has no agent. */
  const agents: (BpfObject | undefined)[][] = [];
  before(() => {
    for (const ids of versions) {
      agents.push(
        hosts.map((host) =>
          ids[host] === undefined || host === BARE
            ? undefined
            : loadAgent({ text: textOf(ids), locals: [addressOf(host)], hop: HOP }),
        ),
      );
    }
  });
  after(() => {
    for (const each of agents.flat()) each?.close();
  });

  const inner = [ipv4({ src: '127.0.0.9', dst: VIP }), tcp({ sport: 700, dport: 80 }), payload(8)];

  /** One agent's part, which must be the model's. */
  function step(
    number: number,
    host: number,
    from: number | undefined,
    bytes: Uint8Array,
  ): Step & { frame: Uint8Array } {
    const run = agents[number][host]!.testRun(AGENT_PROGRAM, bytes);
    const [ids, frame] = [versions[number], new Uint8Array(run.frame)];
    const { key } = decapsulate(bytes).outer;
    const expected = model(ids, host, from, key);
    const action = { delivered: 'pass', sent_on: 'tx' }[expected.verdict] ?? 'drop';
    assert.equal(run.action, action, `${expected.verdict} of key ${key?.toString(16)} at ${host} by ${ids}`);
    if (action === 'tx') {
      const { dst, src, key, alternates } = decapsulate(frame).outer;
      const { to } = expected;
      assert.deepEqual(
        [src, dst, key, alternates],
        [addressOf(host), addressOf(to!), expected.key, to !== BARE],
      );
    }
    return { ...expected, frame };
  }

  test(`go over two hops at most, and reach only whom their key means (${CHAINS} chains, seed ${seed})`, (t) => {
    const outcomes: Record<string, number> = {};
    let hopsMost = 0;
    fc.assert(
      fc.property(
        fc.array(fc.nat(VERSIONS - 1), { minLength: HOSTS, maxLength: HOSTS }),
        fc.nat(HOSTS - 2),
        fc.nat(8),
        fc.nat(8),
        (reads, first, id1, id2) => {
          const key = keyWord(0, id1, id2);
          let bytes = frame({}, outer4({ dst: addressOf(first) }), gre({ key, alternates: true }), ...inner);
          let [host, hops, from] = [first, 0, undefined as number | undefined];
          for (;;) {
            const isAlone = host === BARE || versions[reads[host]][host] === undefined;
            if (isAlone) break; // what becomes of it is no agent's doing
            const taken = step(reads[host], host, from, bytes);
            outcomes[taken.verdict] = (outcomes[taken.verdict] ?? 0) + 1;
            if (taken.verdict === 'delivered') {
              assert.equal(decodeFrame(taken.frame).etherType, 0x0800);
              const arrived = decapsulate(bytes).outer;
              // By the index that it came with, the id there is this host's by its own config.
              const at = arrived.key === undefined ? 0 : keyIndex(arrived.key);
              if (at > 0) assert.equal(versions[reads[host]][host], idAt(arrived.key!, at));
            }
            if (taken.verdict !== 'sent_on') break;
            bytes = taken.frame;
            from = host;
            host = taken.to!;
            hops++;
          }
          hopsMost = Math.max(hopsMost, hops);
          assert.ok(hops <= 2, `${hops} hops`);
        },
      ),
      { numRuns: CHAINS, seed },
    );
    t.diagnostic(JSON.stringify(outcomes));
    assert.equal(hopsMost, 2);
    for (const verdict of ['delivered', 'sent_on', 'drop_id_stale', 'drop_peer_unknown', 'drop_stranger'])
      assert.ok(outcomes[verdict] > 0, `no packet was ${verdict}`);
    // Each step was counted under the model's verdict.
    const counted: Record<string, number> = {};
    for (const agent of agents.flat()) {
      for (const [verdict, packets] of Object.entries(agent === undefined ? {} : readVerdicts(agent)))
        if (packets > 0) counted[verdict] = (counted[verdict] ?? 0) + packets;
    }
    assert.deepEqual(counted, outcomes);
  });
});
