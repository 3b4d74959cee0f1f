/** The packets of `bench/defend.ts`: small ones and SYNs, of both families, from sources that spread over the networks. */
import { FIRST_CLIENT4, FIRST_CLIENT6 } from '../../scripts/native/clients.js';
import { type System, synOptions } from '../../scripts/native/systems.js';
import { VIP4, VIP6 } from '../../test/forward/fixture.js';
import { frame, ipv4, ipv6, payload, tcp } from '../../test/packets/build.js';
import type { Traffic } from '../xdp/harness.js';
import { type SourceKind, spreadOf } from './prefixes.js';

export const PORT = 80;

const ip = (family: 4 | 6) =>
  family === 4 ? ipv4({ src: FIRST_CLIENT4, dst: VIP4 }) : ipv6({ src: FIRST_CLIENT6, dst: VIP6 });

/** An ACK of 60 bytes, 64 on the wire; IPv6 74 and 78. */
const small = (family: 4 | 6): Uint8Array =>
  frame({}, ip(family), tcp({ sport: 1024, dport: PORT }), payload(family === 4 ? 6 : 0));
function syn(family: 4 | 6, system: System): Uint8Array {
  const options = synOptions(system, family, 1);
  const padding = payload(family === 4 && options.length === 0 ? 6 : 0);
  return frame({}, ip(family), tcp({ sport: 1024, dport: PORT, flags: ['syn'], options }), padding);
}

/** Small packets from so many sources of one kind. */
export function smallPackets(family: 4 | 6, sources: number, kind: SourceKind = 'passes'): Traffic {
  return { flows: sources, frames: [small(family)], sources: spreadOf(family, kind) };
}

/** SYNs from so many sources, as one system sends them, for a subject that may turn them into answers. */
export function syns(family: 4 | 6, sources: number, system: System = 'linux'): Traffic {
  return {
    flows: sources,
    frames: [syn(family, system)],
    sources: spreadOf(family, 'passes'),
    isAnswered: true,
  };
}
