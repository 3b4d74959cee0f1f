/**
 * From a service to the backend that gets the packet: flow hash, slot, owner, alternate, and whether the packet may be sent
 * and fits. C's copy is native/include/anyhop/choose.h.
 */
import { L } from '../core/layout.gen.js';
import { flowHash, flowHashPair, slotOf } from '../hash/flow.js';
import { P } from '../packet/constants.js';
import { answerTooBig } from './answer.js';
import { encapsulate } from './encapsulate.js';
import type { PacketState } from './packet-state.js';

const WORD_KEY = L.SERVICE_KEY / 4;
const WORD_OWNERS = L.SERVICE_OWNERS_OFFSET / 4;
const WORD_ALTERNATES = L.SERVICE_ALTERNATES_OFFSET / 4;
const WORD_SLOTS = L.SERVICE_SLOTS / 4;
const WORD_BACKEND_FIRST = L.SERVICE_BACKEND_FIRST / 4;
/** Counter, hash mode and flags share a word. */
const WORD_MODE = L.SERVICE_COUNTER / 4;
const MODE_SHIFT = (L.SERVICE_HASH_MODE % 4) * 8;
const FLAGS_SHIFT = (L.SERVICE_FLAGS % 4) * 8;
const PATH_WORDS = L.SIZEOF_PATH / 4;
/** The first word of a path: MTU, layer-2 length and flags. */
const PATH_FLAGS_SHIFT = (L.PATH_FLAGS % 4) * 8;

/**
 * Sends a matched packet on its path, or answers that it does not fit.
 *
 * @param service index into the image's words
 * @param ports the flow's source and destination port as a raw word; 0 for a fragment
 * @param verdict to return when the packet is forwarded: V_FORWARDED or one of its kinds
 */
export function choose(
  p: PacketState,
  view: DataView,
  service: number,
  ports: number,
  verdict: number,
): number {
  const image = p.image;
  const words = image.words;
  const halves = image.halves;
  const mode = words[service + WORD_MODE];
  const hash = hashFlow(
    p,
    words[service + WORD_KEY],
    words[service + WORD_KEY + 1],
    (mode >>> MODE_SHIFT) & 0xff,
    ports,
  );
  const slot = slotOf(hash, words[service + WORD_SLOTS]);
  p.service = service;
  p.serviceCounter = mode & 0xffff;
  p.hash = hash;
  p.slot = slot;
  p.alternate = -1;

  const owner = halves[(words[service + WORD_OWNERS] >>> 1) + slot];
  if (owner === L.NONE) return L.V_DROP_NO_BACKEND;
  const backendFirst = words[service + WORD_BACKEND_FIRST];
  const backend = backendFirst + owner;
  const path = words[image.pathWord + backend * PATH_WORDS];
  const flags = path >>> PATH_FLAGS_SHIFT;
  p.backend = backend;

  // The key names the backend that may hold the slot's older connections.
  let headers = P.GRE_HEADER + ((flags & L.PATH_OUTER_IPV6) !== 0 ? P.IPV6_HEADER : P.IPV4_HEADER);
  if (((mode >>> FLAGS_SHIFT) & L.SERVICE_SECOND_CHANCE) !== 0 && (flags & L.PATH_AGENT) !== 0) {
    const alternate = halves[(words[service + WORD_ALTERNATES] >>> 1) + slot];
    if (alternate !== L.NONE) {
      p.alternate = backendFirst + alternate;
      headers += P.GRE_KEY;
    }
  }

  const l3 = p.l3;
  const inner4 = p.family === 4;
  if (view.getUint8(inner4 ? l3 + 8 : l3 + 7) <= 1) return L.V_DROP_TTL_EXPIRED;
  const fits = (path & 0xffff) - headers;
  const length = p.end - l3;
  if (length <= fits) {
    encapsulate(p, view);
    return verdict;
  }
  const mtu = inner4 ? fits : Math.max(fits, L.IPV6_MTU_MIN);
  // An ICMP error is never answered by another, and no IPv6 sender makes packets below the least MTU (RFC 8200 section 5).
  if (verdict === L.V_FORWARDED_ICMP_ERROR || length <= mtu) return L.V_DROP_TOO_BIG;
  return answerTooBig(p, view, mtu);
}

/** The flow's hash in the service's mode: of the client's address, and of the ports where these count. */
function hashFlow(p: PacketState, key0: number, key1: number, mode: number, ports: number): number {
  const flow = p.flow;
  if (mode !== L.HASH_5_TUPLE) return flowHash(key0, key1, flow, p.family === 4 ? 1 : 4);
  if (p.family === 4) return flowHashPair(key0, key1, flow[0], ports);
  flow[4] = ports;
  return flowHash(key0, key1, flow, 5);
}
