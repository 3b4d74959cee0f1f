/**
 * Writes what goes in front of a packet for the backend that choose.ts found: the outer headers from the backend's
 * template, with GRE (RFC 2784) and a key (RFC 2890) where the slot has an alternate.
 *
 *                    out                          l3
 *   +----------------+----------------------------+-----------------------+
 *   | headroom       | Ethernet, IP, GRE (, key)  | the packet, TTL less 1 |
 *   +----------------+----------------------------+-----------------------+
 *
 * It overwrites the frame's own layer-2 header and the headroom before it.
 */
import { L } from '../core/layout.gen.js';
import { finish } from '../packet/checksum.js';
import { P } from '../packet/constants.js';
import type { PacketState } from './packet-state.js';

const PATH_WORDS = L.SIZEOF_PATH / 4;
const TEMPLATE_WORDS = L.TEMPLATE_SIZE / 4;
/** A path's checksum shares a word with its counter, and is the lower half. */
const WORD_CHECKSUM = L.PATH_CHECKSUM / 4;
const WORD_KEY = L.PATH_KEY / 4;
/** Layer-2 length and flags share the first word with the MTU. */
const L2_SHIFT = (L.PATH_L2_LENGTH % 4) * 8;
const FLAGS_SHIFT = (L.PATH_FLAGS % 4) * 8;

export function encapsulate(p: PacketState, view: DataView): void {
  const image = p.image;
  const words = image.words;
  const hash = p.hash;
  const l3 = p.l3;
  const inner4 = p.family === 4;
  const path = image.pathWord + p.backend * PATH_WORDS;
  const lengths = words[path];
  const sumAndCounter = words[path + WORD_CHECKSUM];
  p.backendCounter = sumAndCounter >>> 16;
  const tos = age(p, view);

  const outer6 = ((lengths >>> FLAGS_SHIFT) & L.PATH_OUTER_IPV6) !== 0;
  const l2 = (lengths >>> L2_SHIFT) & 0xff;
  const greLength = p.alternate >= 0 ? P.GRE_HEADER + P.GRE_KEY : P.GRE_HEADER;
  const gre = l3 - greLength;
  const ip = gre - (outer6 ? P.IPV6_HEADER : P.IPV4_HEADER);
  const out = ip - l2;
  const payload = p.end - gre;
  // The template ends within the GRE header: whole words up to its flags, its protocol by the inner family. The nine of
  // the shortest template are written out: 3 ns less than a loop.
  const template = image.templateWord + p.backend * TEMPLATE_WORDS;
  view.setInt32(out, words[template], true);
  view.setInt32(out + 4, words[template + 1], true);
  view.setInt32(out + 8, words[template + 2], true);
  view.setInt32(out + 12, words[template + 3], true);
  view.setInt32(out + 16, words[template + 4], true);
  view.setInt32(out + 20, words[template + 5], true);
  view.setInt32(out + 24, words[template + 6], true);
  view.setInt32(out + 28, words[template + 7], true);
  view.setInt32(out + 32, words[template + 8], true);
  for (let at = out + 36, word = template + 9; at < gre; at += 4, word++)
    view.setInt32(at, words[word], true);
  view.setUint16(gre + 2, inner4 ? P.ETHERTYPE_IPV4 : P.ETHERTYPE_IPV6);
  if (p.alternate >= 0) {
    view.setUint16(gre, P.GRE_FLAG_KEY);
    const key = words[image.pathWord + p.alternate * PATH_WORDS + WORD_KEY];
    view.setInt32(gre + P.GRE_HEADER, key, true);
  }
  if (outer6) {
    view.setInt32(ip, 0x60000000 | (tos << 20) | (hash & 0xfffff));
    view.setUint16(ip + 4, payload);
  } else {
    const total = payload + P.IPV4_HEADER;
    let sum = (sumAndCounter & 0xffff) + total + tos;
    const host = hash & image.source4Hosts;
    if (host !== 0) {
      view.setInt32(ip + 12, view.getInt32(ip + 12) | host);
      sum += (host >>> 16) + (host & 0xffff);
    }
    view.setUint8(ip + 1, tos);
    view.setUint16(ip + 2, total);
    view.setUint16(ip + 10, finish(sum));
  }
  p.outStart = out;
  p.outLength = p.end - out;
  p.outL2 = l2;
}

/** Lowers TTL or hop limit by one. @returns TOS or traffic class, which the outer header copies: DSCP and ECN (RFC 6040) */
function age(p: PacketState, view: DataView): number {
  const l3 = p.l3;
  if (p.family === 4) {
    view.setUint8(l3 + 8, view.getUint8(l3 + 8) - 1);
    // The TTL is the high byte of its word: RFC 1141's update, with the carry as in RFC 1624.
    const sum = view.getUint16(l3 + 10) + 0x0100;
    view.setUint16(l3 + 10, sum + (sum >= 0xffff ? 1 : 0));
    return view.getUint8(l3 + 1);
  }
  view.setUint8(l3 + 7, view.getUint8(l3 + 7) - 1);
  return (view.getUint16(l3) >>> 4) & 0xff;
}
