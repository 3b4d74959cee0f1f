/**
 * A steady flow of numbered packets through an agent, each of which is accounted for: half of them UDP datagrams, which are to
 * be delivered, half TCP segments of no connection, which are to be sent on to the alternate.
 *
 * What is sent on is written down by number on the other end of the link. What is delivered is counted by the backend's own
 * kernel, where the packet enters its stack, and goes no further: no socket buffer can overflow.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { LogEvent } from '../../scripts/lab/process.js';
import { Peer } from '../engine/peer.js';
import type { Witnessed, WitnessRequest } from '../engine/witness-process.js';
import { frame, gre, payload, tcp, udp } from '../packets/build.js';
import { type Backend, INTERFACE } from './backend.js';
import { inner4, KEYS, outer4, VIP } from './fixture.js';

/** What a veth takes on one of two busy cores, with room to spare. */
const RATE = 10_000;
/** Longer than a run takes on a busy machine. */
const PACKETS_MAX = 120 * RATE;
/** Ethernet, IPv4, GRE with a key, IPv4, and the ports; in the datagrams it is somewhere in the text. */
const SEQUENCE_OFFSET = 14 + 20 + 8 + 20 + 4;
const PORT = 53;
const PEER_LAST_BYTE = 12;
const WITNESS = fileURLToPath(new URL('../engine/witness-process.js', import.meta.url));

export interface Outcome {
  readonly datagrams: number;
  readonly delivered: number;
  readonly strays: number;
  readonly sentOn: number;
  readonly duplicated: number;
}

export class Load {
  readonly #backend: Backend;
  readonly #witness: Peer<WitnessRequest>;

  private constructor(backend: Backend, witness: Peer<WitnessRequest>) {
    this.#backend = backend;
    this.#witness = witness;
  }

  /** Once an agent is ready. */
  static async start(backend: Backend): Promise<Load> {
    const args = [INTERFACE, `${PACKETS_MAX}`, `${RATE}`, `${SEQUENCE_OFFSET}`];
    await backend.letXdpArrive(false); // the witness has a program of its own
    const load = new Load(backend, new Peer<WitnessRequest>(backend.fleet, WITNESS, args));
    await load.#witness.hello();
    await backend.exec(
      'nft',
      `add table ip load
       add chain ip load in { type filter hook prerouting priority raw; }
       add rule ip load in ip daddr ${VIP} udp dport ${PORT} counter drop`,
    );
    const stray = frame({}, outer4(), gre({ key: KEYS.peer4 }), inner4(), tcp({ sport: 700, dport: 80 }));
    const datagram = frame({}, outer4(), gre(), inner4(), udp({ sport: 9, dport: PORT }), payload(20));
    await load.#witness.ask({ start: [stray, datagram] });
    return load;
  }

  /** Ends the packets, and says what became of them. */
  async finish(): Promise<Outcome> {
    const { sent, refused, seen } = (await this.#witness.ask({ stop: true })) as Witnessed;
    assert.equal(refused, 0);
    let [sentOn, duplicated] = [0, 0];
    for (let number = 0; number < sent; number += 2) {
      const [times, where] = [seen[2 * number], seen[2 * number + 1]];
      if (times === 0) continue;
      assert.equal(where & 0xff, PEER_LAST_BYTE, `packet ${number} went elsewhere`);
      sentOn++;
      if (times > 1) duplicated++;
    }
    const table = JSON.parse(await this.#backend.exec('nft', '-j', 'list', 'table', 'ip', 'load'));
    const rule = table.nftables.flatMap((each: NftEntry) => each.rule?.expr ?? []);
    const delivered = rule.find((each: NftExpression) => each.counter !== undefined).counter.packets;
    return { datagrams: Math.floor(sent / 2), delivered, strays: Math.ceil(sent / 2), sentOn, duplicated };
  }

  async close(): Promise<void> {
    await this.#witness.close();
    await this.#backend.letXdpArrive(true);
    await this.#backend.exec('nft', 'delete', 'table', 'ip', 'load');
  }
}

interface NftExpression {
  readonly counter?: { readonly packets: number };
}

interface NftEntry {
  readonly rule?: { readonly expr: readonly NftExpression[] };
}

/** Each packet went where it should, once. */
export function requireAll(outcome: Outcome): void {
  const { datagrams, strays } = outcome;
  assert.ok(strays > 1000, `${strays} packets were sent`);
  assert.deepEqual(outcome, { datagrams, delivered: datagrams, strays, sentOn: strays, duplicated: 0 });
}

/** The packets of an agent's last counters by verdict. */
export function verdictsOf(events: readonly LogEvent[]): Record<string, number> {
  const counters = events.findLast(({ event }) => event === 'counters');
  assert.ok(counters !== undefined, 'no counters were logged');
  return counters['verdicts'] as Record<string, number>;
}
