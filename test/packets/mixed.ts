/**
 * Mixed traffic for one config: IPv4 and IPv6, VLAN tags, options, extension headers, fragments, ICMP errors, echo,
 * too big, broken and junk. Every packet has a sentence for a name and the verdict that it must end in, so that a
 * golden test, a replay and a live engine can be held to the same list.
 *
 *   node build/test/packets/mixed.js DIRECTORY      writes mixed.pcap and mixed.yaml there
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CaptureWriter } from '#anyhop/packet/capture.js';
import { arpRequest, frame, frameOf, ipv4, packet, payload, tcp } from './build.js';
import { CLIENT4, MIXED_CONFIG, type Row, VIP } from './mixed-config.js';
import { IPV4 } from './mixed-ipv4.js';
import { IPV6 } from './mixed-ipv6.js';

export { MIXED_CONFIG } from './mixed-config.js';

export interface MixedPacket {
  /** A sentence; no two packets have the same. */
  readonly name: string;
  /** Name in VERDICTS (src/core/layout.gen.ts). */
  readonly verdict: string;
  readonly frame: Uint8Array;
  /** One packet a second, except where the time between two of them is the point. */
  readonly timestampNs: bigint;
}

const START_NS = 1_700_000_000_000_000_000n;
const SECOND_NS = 1_000_000_000n;
const MILLISECOND_NS = 1_000_000n;

const synPacket = packet(
  ipv4({ src: CLIENT4, dst: VIP.web4 }),
  tcp({ sport: 40000, dport: 80, flags: ['syn'] }),
);

const LINK: readonly Row[] = [
  ['an ARP request', 'pass_not_ip', arpRequest({ sender: '10.0.0.254', target: '10.0.0.1' })],
  [
    'an LLDP frame',
    'pass_not_ip',
    frame(
      { dst: '01:80:c2:00:00:0e', etherType: 0x88cc, padTo: 60 },
      payload(Uint8Array.of(2, 7, 4, 2, 0, 0, 0, 0, 2, 4, 2, 7, 1, 6, 2, 0, 120, 0, 0)),
    ),
  ],
  ['an empty frame', 'pass_not_ip', new Uint8Array(0)],
  ['a frame cut within the Ethernet header', 'pass_not_ip', frameOf({}, synPacket).subarray(0, 10)],
  ['a frame cut within a VLAN tag', 'pass_not_ip', frameOf({ vlans: [10] }, synPacket).subarray(0, 16)],
  ['a frame cut within the IPv4 header', 'pass_not_ip', frameOf({}, synPacket).subarray(0, 33)],
  [
    'an IPv6 EtherType before an IPv4 packet',
    'pass_not_ip',
    frameOf({ etherType: 0x86dd }, packet(ipv4({ src: CLIENT4, dst: VIP.web4 }), payload(60))),
  ],
  [
    'an IPv4 packet of version 7',
    'pass_not_ip',
    frame({}, ipv4({ src: CLIENT4, dst: VIP.web4, version: 7 }), payload(40)),
  ],
  ...Array.from({ length: 20 }, (_, i): Row => [`junk ${i + 1}`, 'pass_not_ip', junk(i + 1)]),
];

/** Every packet of the capture, in order. */
export function mixedTraffic(): MixedPacket[] {
  const rows = [...IPV4, ...IPV6, ...LINK];
  const packets = rows.map(([name, verdict, bytes], i) => ({
    name,
    verdict,
    frame: bytes,
    timestampNs: START_NS + BigInt(i) * SECOND_NS,
  }));
  // The same packet again a millisecond later finds the limit on answers used up.
  const tooBig = packets.filter(({ verdict }) => verdict === 'too_big_answered').slice(0, 1);
  for (const first of tooBig) {
    packets.splice(packets.indexOf(first) + 1, 0, {
      ...first,
      name: `${first.name}, again within a millisecond`,
      verdict: 'drop_too_big_limited',
      timestampNs: first.timestampNs + MILLISECOND_NS,
    });
  }
  return packets;
}

/** Writes the capture; the node that it is for is MIXED_CONFIG. */
export function writeMixedCapture(path: string): void {
  const writer = new CaptureWriter(path);
  for (const { frame, timestampNs } of mixedTraffic()) writer.write(frame, timestampNs);
  writer.close();
}

/** 14 to 300 bytes from a linear congruential generator (Numerical Recipes), of an EtherType that is not IP. */
function junk(seed: number): Uint8Array {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  const bytes = Uint8Array.from({ length: 14 + next() + (seed % 32) }, next);
  bytes[12] |= 0x10;
  return bytes;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const directory = process.argv[2] ?? '.';
  writeMixedCapture(join(directory, 'mixed.pcap'));
  writeFileSync(join(directory, 'mixed.yaml'), MIXED_CONFIG);
}
