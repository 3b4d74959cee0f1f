/**
 * From a service to a GRE packet for the slot's owner (RFC 2784, with RFC 2890's key where the service has a second
 * chance): flow hash, slot, owner, inner TTL, outer headers from the backend's template.
 *
 *                    out                          l3
 *   +----------------+----------------------------+-----------------------+
 *   | headroom       | Ethernet, IP, GRE (, key)  | the packet, TTL less 1 |
 *   +----------------+----------------------------+-----------------------+
 *
 * What it writes over is the frame's own layer-2 header and the headroom before it.
 */
import { L } from '../core/layout.gen.js';
import { flowHash, flowHashFive, flowHashPair, slotOf } from '../hash/flow.js';
import { finish } from '../packet/checksum.js';
import { P } from '../packet/constants.js';
import { joinKeys } from '../packet/second-chance-key.js';
import { answerTooBig } from './answer.js';
import {
  admitsAnswer,
  COOKIE_CAN,
  COOKIE_CANNOT,
  COOKIE_UNWANTED,
  guardPacket,
  guardsSyns,
  isSyn,
  judgeSyn,
  rulesOf,
  weighSyn,
} from './guard.js';
import type { PacketState } from './packet-state.js';
import { answerSyn, canAnswerSyn } from './syn-answer.js';

const WORD_KEY = L.SERVICE_KEY / 4;
const WORD_OWNERS = L.SERVICE_OWNERS_OFFSET / 4;
const WORD_KEYS = L.SERVICE_KEYS_OFFSET / 4;
const WORD_SLOTS = L.SERVICE_SLOTS / 4;
const WORD_BACKEND_FIRST = L.SERVICE_BACKEND_FIRST / 4;
/** Counter and kind of hash share a word. */
const WORD_MODE = L.SERVICE_COUNTER / 4;
const MODE_SHIFT = (L.SERVICE_HASH_MODE % 4) * 8;
const REKEYED_SHIFT = (L.SERVICE_IS_REKEYED % 4) * 8;
const WORD_FORMER_HOLDERS = L.FORMER_HOLDERS_OFFSET / 4;
const WORD_ID = L.PATH_ID / 4;
/** A path's checksum shares a word with its counter, and is the lower half. */
const WORD_CHECKSUM = L.PATH_CHECKSUM / 4;
/** So do a path's MTU, layer-2 length and flags. */
const PATH_L2_SHIFT = (L.PATH_L2_LENGTH % 4) * 8;
const PATH_FLAGS_SHIFT = (L.PATH_FLAGS % 4) * 8;

/**
 * @param service index into the image's words
 * @param ports the flow's source and destination port as a raw word
 * @param verdict what to return when it worked: V_FORWARDED or one of its kinds
 */
export function encapsulate(
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
  const rules = image.rulesWord === 0 ? -1 : rulesOf(p, mode & 0xffff);
  if (rules >= 0) {
    const stopped = guardPacket(p, view, rules, mode & 0xffff, p.tcp !== 0 && isSyn(view, p.tcp));
    if (stopped >= 0) return stopped;
  }
  const hash = hashFlow(p, words, service + WORD_KEY, (mode >>> MODE_SHIFT) & 0xff, ports);
  const slot = slotOf(hash, words[service + WORD_SLOTS]);
  p.service = service;
  p.serviceCounter = mode & 0xffff;
  p.hash = hash;
  p.slot = slot;

  const owner = halves[(words[service + WORD_OWNERS] >>> 1) + slot];
  if (owner === L.NONE) return L.V_DROP_NO_BACKEND;
  const backend = words[service + WORD_BACKEND_FIRST] + owner;
  p.backend = backend;
  const path = image.pathWord + backend * (L.SIZEOF_PATH / 4);
  const way = words[path];
  const sumAndCounter = words[path + WORD_CHECKSUM];
  p.backendCounter = sumAndCounter >>> 16;
  const pathFlags = way >>> PATH_FLAGS_SHIFT;

  // The key names the backends that may hold the slot's older connections.
  const keys = words[service + WORD_KEYS];
  let key = keys === 0 ? 0 : words[(keys >>> 2) + slot];
  if (mode >>> REKEYED_SHIFT !== 0 && (pathFlags & L.PATH_AGENT) !== 0)
    key = rekeyed(p, service, (mode >>> MODE_SHIFT) & 0xff, ports, words[path + WORD_ID] & 0x7fff, key);
  const greLength = key === 0 ? P.GRE_HEADER : P.GRE_HEADER + P.GRE_KEY;
  p.key = key;

  const l3 = p.l3;
  const inner4 = p.family === 4;
  if (view.getUint8(inner4 ? l3 + 8 : l3 + 7) <= 1) return L.V_DROP_TTL_EXPIRED;
  const outer6 = (pathFlags & L.PATH_OUTER_IPV6) !== 0;
  const ipLength = outer6 ? P.IPV6_HEADER : P.IPV4_HEADER;
  const payload = p.end - l3 + greLength;
  const mtu = way & 0xffff;
  if (payload + ipLength > mtu) return answerTooBig(p, view, mtu - ipLength - greLength, verdict);
  if (rules >= 0 && p.tcp !== 0 && isSyn(view, p.tcp) && guardsSyns(p, rules)) {
    const stopped = guardSyn(p, view, rules, pathFlags, keys !== 0);
    if (stopped !== L.V_FORWARDED) return stopped;
  }

  let tos: number;
  if (inner4) {
    tos = view.getUint8(l3 + 1);
    view.setUint8(l3 + 8, view.getUint8(l3 + 8) - 1);
    // The TTL is the high byte of its word: RFC 1141's update, with the carry as in RFC 1624.
    const sum = view.getUint16(l3 + 10) + 0x0100;
    view.setUint16(l3 + 10, sum + (sum >= 0xffff ? 1 : 0));
  } else {
    tos = (view.getUint16(l3) >>> 4) & 0xff;
    view.setUint8(l3 + 7, view.getUint8(l3 + 7) - 1);
  }

  const l2 = (way >>> PATH_L2_SHIFT) & 0xff;
  const out = l3 - greLength - ipLength - l2;
  const ip = out + l2;
  const gre = ip + ipLength;
  // The template ends within the GRE header: whole words up to its flags, its protocol by the inner family. The nine of
  // the shortest template are written out: 3 ns less than a loop.
  const template = image.templateWord + backend * (L.TEMPLATE_SIZE / 4);
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
  if (key !== 0) {
    view.setUint16(gre, P.GRE_FLAG_KEY | P.GRE_FLAG_ALTERNATES);
    view.setInt32(gre + P.GRE_HEADER, key);
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
  return verdict;
}

/**
 * The GRE key of a packet whose service has another flow hash key than before: who may hold the flow by the former one comes first.
 *
 * @param own id of the owner
 * @param key as the slot of the present key has it
 */
function rekeyed(
  p: PacketState,
  service: number,
  mode: number,
  ports: number,
  own: number,
  key: number,
): number {
  const { words, formerWord, serviceWord } = p.image;
  const former = formerWord + (service - serviceWord);
  const hash = hashFlow(p, words, former + L.FORMER_KEY / 4, mode, ports);
  const slot = slotOf(hash, words[service + WORD_SLOTS]);
  p.formerSlot = slot;
  return joinKeys(own, words[(words[former + WORD_FORMER_HOLDERS] >>> 2) + slot], key);
}

/**
 * A SYN whose owner is known, by its rules. @returns a verdict that answers, whose answer is written, or drops; or V_FORWARDED
 */
function guardSyn(
  p: PacketState,
  view: DataView,
  rules: number,
  pathFlags: number,
  hasKeys: boolean,
): number {
  let cookie = COOKIE_UNWANTED;
  if (weighSyn(p, rules, p.serviceCounter)) {
    const isPlain = p.tcp - p.l3 === (p.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER);
    const hasTerms = p.fleetMs !== 0 && p.image.cookieKeyWord !== 0;
    const takes = isPlain && hasTerms && (pathFlags & L.PATH_COOKIES) !== 0;
    cookie = takes && canAnswerSyn(p, view, p.tcp) && admitsAnswer(p, rules) ? COOKIE_CAN : COOKIE_CANNOT;
  }
  const verdict = judgeSyn(p, rules, p.serviceCounter, cookie);
  if (verdict === L.V_SYN_COOKIE_ANSWERED) answerSyn(p, view, p.tcp, hasKeys);
  return verdict;
}

/** The flow's hash by the service's kind: of the client's address, and of the ports where these count. */
function hashFlow(p: PacketState, words: Int32Array, key: number, mode: number, ports: number): number {
  const flow = p.flow;
  if (mode !== L.HASH_5_TUPLE) return flowHash(words, key, flow, p.family === 4 ? 1 : 4);
  if (p.family === 4) return flowHashPair(words, key, flow[0], ports);
  flow[4] = ports;
  return flowHashFive(words, key, flow);
}
