/**
 * Fragments on the way to the host that are not, or not for certain, the fleet's: its own traffic passes whatever headers it has, and
 * no way of cutting a stranger's GRE for a VIP gets past, which the host would put together and give to a tunnel of its own.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import {
  authentication,
  concat,
  destinationOptions,
  fragment,
  frameOf,
  gre,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  type Layer,
  PROTOCOL,
  packet,
  payload,
  routing,
  tcp,
  udp,
} from '../packets/build.js';
import { inner4, inner6, judge, loadAgent, passesUntouched, refuses, SKIP } from './fixture.js';

const STRANGER = '2001:db8:bad::1';
const PEER = 'fd00:1::12';
const SENDERS = [STRANGER, PEER];
const HERE = 'fd00:1::11';
const web = tcp({ sport: 40000, dport: 80 });
const onItsWay = routing({ type: 4, segmentsLeft: 1, addresses: ['2001:db8::1'] });
/** Longer than every first fragment below. */
const rest = payload(800);

/** Extension headers that the host finds once it has put the fragments together. */
const chains = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 5 }).map((units) => destinationOptions({ length: units * 8 })),
    fc.constantFrom(authentication(), routing(), onItsWay, fragment(), fragment({ more: true })),
  ),
  { maxLength: 6 },
);
/** The start of an extension header of 8 bytes, and what could be TCP. */
const endInTcp = concat(Uint8Array.of(PROTOCOL.tcp), new Uint8Array(40));
const bytesOf = (chain: readonly Layer[]): number => packet(...chain).length;

describe('fragments to a host with an agent', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent?.close());

  /** In a frame each, cut every `size` bytes. */
  const cut = (src: string, layers: Layer[], size: number): Uint8Array[] =>
    ipv6Fragments({ src, dst: HERE }, layers, size).map((piece) => frameOf({}, piece));

  test("are the host's own with authentication, options and routing headers, from strangers and from peers", () => {
    for (const src of SENDERS)
      for (const chain of [
        [authentication()],
        [destinationOptions()],
        [routing()],
        [onItsWay],
        [destinationOptions({ length: 24 }), authentication()],
      ])
        for (const transport of [udp({ sport: 500, dport: 500 }), tcp({ sport: 1, dport: 22 })])
          for (const piece of cut(src, [...chain, transport, rest], 64))
            passesUntouched(agent, piece, 'pass_not_gre');
  });

  test("of the host's own tunnels pass as well, and those of the fleet do not", () => {
    const tunnel = [destinationOptions(), gre(), ipv6({ src: 'fd08::1', dst: 'fd08::2' }), web, rest];
    const [first, ...later] = cut(STRANGER, tunnel, 128);
    passesUntouched(agent, first, 'pass_other_tunnel');
    for (const piece of later) passesUntouched(agent, piece, 'pass_not_gre');
    for (const chain of [[], [destinationOptions()], [authentication()]]) {
      const [ofFleet] = cut(PEER, [...chain, gre(), inner4(), web, rest], 128);
      refuses(agent, ofFleet, 'drop_outer_fragment');
    }
  });

  test("come to nothing when they are a stranger's GRE for a VIP behind other headers", () => {
    for (const chain of [[authentication()], [destinationOptions()], [fragment({ more: true })], [onItsWay]])
      for (const inner of [inner4(), inner6()]) {
        const [first] = cut(STRANGER, [...chain, gre(), inner, web, rest], 128);
        refuses(agent, first, 'drop_stranger');
      }
  });

  test('come to nothing when the first one leaves headers to the others', () => {
    for (const src of SENDERS) {
      const hidden = cut(src, [destinationOptions({ length: 64 }), gre(), inner4(), web, rest], 32);
      refuses(agent, hidden[0], 'drop_outer_options');
      for (const piece of hidden.slice(1)) passesUntouched(agent, piece, 'pass_not_gre');
    }
  });

  test('are judged by what is in the packet, not by what lies behind it in the frame', () => {
    // Of 16 bytes of options 8 are there, and the rest of the frame has the next header end in TCP.
    const layers = [destinationOptions({ length: 16 }), destinationOptions(), gre(), inner4(), web, rest];
    const [hidden] = ipv6Fragments({ src: STRANGER, dst: HERE }, layers, 8);
    refuses(agent, frameOf({}, hidden), 'drop_outer_options');
    refuses(agent, frameOf({}, concat(hidden, new Uint8Array(8), endInTcp)), 'drop_outer_options');
    // GRE alone, and behind it an inner header for nobody.
    const decoy = packet(ipv4({ src: '10.8.0.1', dst: '10.8.0.2' }), web);
    const tunnel = [gre({ key: 1 }), inner4(), web, rest];
    const [first4] = ipv4Fragments({ src: '192.0.2.66', dst: '10.1.0.11' }, tunnel, 8);
    const [first6] = ipv6Fragments({ src: STRANGER, dst: HERE }, tunnel, 8);
    for (const first of [first4, first6]) {
      refuses(agent, frameOf({}, concat(first, decoy)), 'drop_stranger');
    }
  });

  test("of a stranger's GRE for a VIP never begin, however they are cut and whatever follows them", () => {
    const trailer = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.nat(10).map((words) => concat(new Uint8Array(8 * words), endInTcp)),
    );
    fc.assert(
      fc.property(
        chains,
        fc.constantFrom(inner4(), inner6()),
        fc.integer({ min: 1, max: 60 }),
        trailer,
        (chain, inner, units, behind) => {
          const [first] = ipv6Fragments(
            { src: STRANGER, dst: HERE },
            [...chain, gre(), inner, web, rest],
            8 * units,
          );
          const judged = judge(agent, frameOf({}, concat(first, behind)));
          assert.match(judged.verdict, /^drop_(stranger|outer_options)$/);
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('of anything but GRE pass, one and all, if the first one has all headers', () => {
    fc.assert(
      fc.property(
        chains,
        fc.constantFrom(web, udp({ sport: 500, dport: 500 }), payload(20, PROTOCOL.esp)),
        fc.constantFrom(...SENDERS),
        fc.nat(20),
        (chain, transport, src, more) => {
          const size = 8 * (Math.ceil(bytesOf(chain) / 8) + more) || 8;
          for (const piece of cut(src, [...chain, transport, rest], size))
            passesUntouched(agent, piece, 'pass_not_gre');
        },
      ),
      { numRuns: 200 },
    );
  });
});
