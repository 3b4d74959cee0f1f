/**
 * The rules of defence, applied to a packet of a service: lists and the rate of its source, then, once its owner is known, the rate of the
 * service and SYN cookies. What a rule in observe mode does, and all limits, is said in native/include/anyhop/guard.h, which this is the
 * reference of.
 */
import { L } from '../core/layout.gen.js';
import { flowHash, flowHashPair } from '../hash/flow.js';
import { CANDIDATE_WORDS, CANDIDATES_WORD, SKETCH_WORD, stateWord } from './guard-state.js';
import type { PacketState } from './packet-state.js';
import {
  countPlus,
  countSliding,
  firstCell,
  leftAt,
  PACKETS_WORD,
  pairPresent,
  pairRaise,
  pairSliding,
  SYNS_WORD,
  secondCell,
  windowAt,
} from './sketch.js';

const RULES_WORDS = L.SIZEOF_RULES / 4;
const DEFENCE_WORDS = L.SIZEOF_DEFENCE / 4;
const FLAGS = L.RULES_FLAGS / 4;
const SCOPE = L.RULES_SCOPE / 4;
const SOURCE_PACKETS = L.RULES_SOURCE_PACKETS / 4;
const SOURCE_SYNS = L.RULES_SOURCE_SYNS / 4;
const NETWORK_PACKETS = L.RULES_NETWORK_PACKETS / 4;
const NETWORK_SYNS = L.RULES_NETWORK_SYNS / 4;
const SERVICE_SYNS = L.RULES_SERVICE_SYNS / 4;
const SERVICE_WINDOW = L.RULES_SERVICE_WINDOW / 4;
const SERVICE_RECIPROCAL = L.RULES_SERVICE_RECIPROCAL / 4;
const THRESHOLD = L.RULES_THRESHOLD / 4;
const KEY = L.DEFENCE_KEY / 4;
const RECIPROCAL = L.DEFENCE_RECIPROCAL / 4;

const NO_LIMIT = L.NO_LIMIT | 0;
const GUARDS_SYNS = L.RULES_SERVICE | L.RULES_COOKIES;
/** FIN, SYN, RST and ACK of TCP's flags. */
const OPENING_FLAGS = 0x17;
const SYN = 0x02;

/** The source at hand: its masked address, what else tells it from others, and the hash of both. */
const source = new Int32Array(5);
let sourceHash = 0;

/** The rules of a service by its counter, as an index into the image's words; -1 when it has none. */
export function rulesOf(p: PacketState, counter: number): number {
  const { image } = p;
  const rules = image.rulesWord + DEFENCE_WORDS + counter * RULES_WORDS;
  return image.words[rules + FLAGS] === 0 ? -1 : rules;
}

/** Whether a whole TCP packet, whose header starts at `l4`, opens a connection. */
export function isSyn(view: DataView, l4: number): boolean {
  return (view.getUint8(l4 + 13) & OPENING_FLAGS) === SYN;
}

/** Lists and the source's rate: a verdict that drops, or -1 to go on. */
export function guardPacket(
  p: PacketState,
  view: DataView,
  rules: number,
  counter: number,
  syn: boolean,
): number {
  const { words } = p.image;
  const flags = words[rules + FLAGS];
  const own = counter * L.GUARDED_KINDS;
  if ((flags & L.RULES_LISTS) !== 0) {
    const listed = listedAs(p, view);
    if (listed === L.LISTED_ALLOW) {
      p.guarded[own + L.GUARDED_ALLOWED]++;
      return -1;
    }
    if (listed === L.LISTED_BLOCK && (flags & L.RULES_LISTS_ENFORCE) !== 0) {
      p.guarded[own + L.GUARDED_BLOCKED]++;
      return L.V_DROP_BLOCKED;
    }
    if (listed === L.LISTED_BLOCK) p.guarded[own + L.GUARDED_WOULD_BLOCK]++;
  }
  if ((flags & L.RULES_SOURCE) === 0 || sourceAdmits(p, view, rules, own, syn)) return -1;
  if ((flags & L.RULES_SOURCE_ENFORCE) !== 0) {
    p.guarded[own + L.GUARDED_SOURCE_RATE]++;
    return L.V_DROP_SOURCE_RATE;
  }
  p.guarded[own + L.GUARDED_WOULD_SOURCE_RATE]++;
  return -1;
}

/** What the lists say of the packet's own source. */
function listedAs({ family, l3, lists }: PacketState, view: DataView): number {
  if (family === 4) return lists.of4(view.getInt32(l3 + 12));
  return lists.of6(
    view.getInt32(l3 + 8),
    view.getInt32(l3 + 12),
    view.getInt32(l3 + 16),
    view.getInt32(l3 + 20),
  );
}

/** Whether a packet is within the limits of its source, and of its network: it is counted then, and otherwise nowhere. */
function sourceAdmits(p: PacketState, view: DataView, rules: number, own: number, syn: boolean): boolean {
  const { words, bytes } = p.image;
  const scope = words[rules + SCOPE] << 8;
  const prefixes = rules * 4;
  takeSource(p, view, scope, bytes[prefixes + L.RULES_PREFIX4], bytes[prefixes + L.RULES_PREFIX6]);
  if (!isWithin(p, words[rules + SOURCE_PACKETS], words[rules + SOURCE_SYNS], syn)) {
    noteDropped(p, own);
    return false;
  }
  const networkPackets = words[rules + NETWORK_PACKETS];
  const networkSyns = words[rules + NETWORK_SYNS];
  if (networkPackets === NO_LIMIT && networkSyns === NO_LIMIT) {
    countSent(p, syn);
    return true;
  }
  takeSource(p, view, scope | L.WHO_NETWORK, 24, 48);
  if (!isWithin(p, networkPackets, networkSyns, syn)) {
    noteDropped(p, own);
    return false;
  }
  countSent(p, syn);
  takeSource(p, view, scope, bytes[prefixes + L.RULES_PREFIX4], bytes[prefixes + L.RULES_PREFIX6]);
  countSent(p, syn);
  return true;
}

/** Makes the prefix of the packet's own source the source at hand. */
function takeSource(p: PacketState, view: DataView, who: number, prefix4: number, prefix6: number): void {
  const { words, rulesWord } = p.image;
  const key = rulesWord + KEY;
  if (p.family === 4) {
    source[0] = view.getInt32(p.l3 + 12, true) & rawMask(prefix4);
    source[1] = source[2] = source[3] = 0;
    source[4] = who | 4;
    sourceHash = flowHashPair(words, key, source[0], source[4]);
    return;
  }
  for (let i = 0; i < 4; i++) source[i] = view.getInt32(p.l3 + 8 + 4 * i, true) & rawMask(prefix6 - 32 * i);
  source[4] = who | 6;
  sourceHash = flowHash(words, key, source, 5);
}

/** The first `bits` of a raw word; all of 32 and more, none of 0 and fewer. */
function rawMask(bits: number): number {
  if (bits <= 0) return 0;
  if (bits >= 32) return -1;
  const mask = -1 << (32 - bits);
  return (mask << 24) | ((mask & 0xff00) << 8) | ((mask >>> 8) & 0xff00) | (mask >>> 24);
}

/** Whether the source at hand may send one more. Limits are unsigned words. */
function isWithin(p: PacketState, packetsMax: number, synsMax: number, syn: boolean): boolean {
  const state = p.guardState;
  const reciprocal = p.image.words[p.image.rulesWord + RECIPROCAL];
  const window = windowAt(p.now, reciprocal);
  const left = leftAt(p.now, reciprocal);
  const first = firstCell(SKETCH_WORD, sourceHash);
  const second = secondCell(SKETCH_WORD, sourceHash);
  if (pairSliding(state, first + PACKETS_WORD, second + PACKETS_WORD, window, left) >= packetsMax >>> 0)
    return false;
  return !syn || pairSliding(state, first + SYNS_WORD, second + SYNS_WORD, window, left) < synsMax >>> 0;
}

/** Counts a packet of the source at hand. */
function countSent(p: PacketState, syn: boolean): void {
  const state = p.guardState;
  const window = windowAt(p.now, p.image.words[p.image.rulesWord + RECIPROCAL]);
  const first = firstCell(SKETCH_WORD, sourceHash);
  const second = secondCell(SKETCH_WORD, sourceHash);
  const packets = pairPresent(state, first + PACKETS_WORD, second + PACKETS_WORD, window) + 1;
  pairRaise(state, first + PACKETS_WORD, second + PACKETS_WORD, window);
  if (syn) pairRaise(state, first + SYNS_WORD, second + SYNS_WORD, window);
  if (packets >= L.CANDIDATE_LEAST && (packets & (packets - 1)) === 0) note(state, window, packets, 0);
}

/** Takes note of the source at hand, whose packet is not admitted: of one packet in some. */
function noteDropped(p: PacketState, own: number): void {
  const before = p.guarded[own + L.GUARDED_SOURCE_RATE] + p.guarded[own + L.GUARDED_WOULD_SOURCE_RATE];
  if (before % L.CANDIDATE_SAMPLE !== 0) return;
  const window = windowAt(p.now, p.image.words[p.image.rulesWord + RECIPROCAL]);
  const packets = pairPresent(
    p.guardState,
    firstCell(SKETCH_WORD, sourceHash) + PACKETS_WORD,
    secondCell(SKETCH_WORD, sourceHash) + PACKETS_WORD,
    window,
  );
  note(p.guardState, window, packets, L.CANDIDATE_SAMPLE);
}

const CANDIDATE_WHO = L.CANDIDATE_WHO / 4;
const CANDIDATE_WINDOW = L.CANDIDATE_WINDOW / 4;
const CANDIDATE_PACKETS = L.CANDIDATE_PACKETS / 4;
const CANDIDATE_DROPPED = L.CANDIDATE_DROPPED / 4;

/** Takes note of the source at hand, in its place among the candidates, unless one that sends more is there. */
function note(state: Int32Array, window: number, packets: number, dropped: number): void {
  const at = CANDIDATES_WORD + ((sourceHash >>> 11) & (L.CANDIDATES - 1)) * CANDIDATE_WORDS;
  if (!isCandidate(state, at)) {
    const isTaken = state[at + CANDIDATE_WHO] !== 0 && (window - state[at + CANDIDATE_WINDOW]) >>> 0 < 2;
    if (isTaken && packets < state[at + CANDIDATE_PACKETS] >>> 0) return;
    for (let i = 0; i < 4; i++) state[at + i] = source[i];
    state[at + CANDIDATE_WHO] = source[4];
    state[at + CANDIDATE_DROPPED] = 0;
  }
  state[at + CANDIDATE_WINDOW] = window;
  state[at + CANDIDATE_PACKETS] = packets;
  state[at + CANDIDATE_DROPPED] += dropped;
}

function isCandidate(state: Int32Array, at: number): boolean {
  if (state[at + CANDIDATE_WHO] !== source[4]) return false;
  for (let i = 0; i < 4; i++) if (state[at + i] !== source[i]) return false;
  return true;
}

const STATE_ARRIVED = L.SERVICE_STATE_ARRIVED / 4;
const STATE_PASSED = L.SERVICE_STATE_PASSED / 4;
const STATE_THRESHOLD = L.SERVICE_STATE_THRESHOLD / 4;
const STATE_COOKIES_UNTIL = L.SERVICE_STATE_COOKIES_UNTIL / 4;

/** Whether a cookie is wanted for a SYN, and can answer it. */
export const COOKIE_UNWANTED = 0;
export const COOKIE_CANNOT = 1;
export const COOKIE_CAN = 2;

/** What the rules say of the SYN at hand: SYNs of the service in a window's time, how many of them passed, and whether that is its rate. */
let came = 0;
let passed = 0;
let isOver = false;

/** Counts a SYN whose owner is known, and weighs it. @returns whether a cookie is wanted */
export function weighSyn(p: PacketState, rules: number, counter: number): boolean {
  const { words } = p.image;
  const flags = words[rules + FLAGS];
  const reciprocal = words[rules + SERVICE_RECIPROCAL];
  const window = windowAt(p.now, reciprocal);
  const left = leftAt(p.now, reciprocal);
  const state = stateWord(counter);
  p.guarded[counter * L.GUARDED_KINDS + L.GUARDED_SYNS]++;
  came = arrived(p, state, counter, window, left);
  const isFlooded = isAboveThreshold(p, state, thresholdOf(p, rules, state), came);
  passed = countSliding(p.guardState, state + STATE_PASSED, window, left);
  isOver = (flags & L.RULES_SERVICE) !== 0 && passed >= words[rules + SERVICE_SYNS] >>> 0;
  if ((flags & L.RULES_COOKIES) === 0) return false;
  // An observing limit does not make cookies be sent.
  const isOverForAll = (flags & L.RULES_SERVICE_ENFORCE) !== 0 || (flags & L.RULES_COOKIES_ENFORCE) === 0;
  return isFlooded || (flags & L.RULES_COOKIES_ALWAYS) !== 0 || (isOver && isOverForAll);
}

const ANSWERS_WORD = L.GUARD_ANSWERS / 4;
const ANSWERS_MASK = L.ANSWERS_WIDTH - 1;

/**
 * Whether the budget of answers has one for the SYN at hand: it is counted then. When too many come for the service, chance says which of
 * them are answered: another one a moment later, when they are sent again.
 */
export function admitsAnswer(p: PacketState, rules: number): boolean {
  const { words, rulesWord } = p.image;
  const state = p.guardState;
  const hash = flowHash(words, rulesWord + KEY, p.flow, p.family === 4 ? 1 : 2);
  const chance = (hash ^ Math.imul(p.now, 0x9e3779b1)) >>> 8;
  // Exact: below 2^24 times below 2^26.
  if (chance * came >= (words[rules + SERVICE_WINDOW] >>> 0) * L.ANSWERS_OF_SERVICE * 2 ** 24) return false;
  const window = (p.now >>> L.ANSWERS_WINDOW_SHIFT) & 0xfff;
  const first = ANSWERS_WORD + (hash & ANSWERS_MASK);
  const second = ANSWERS_WORD + L.ANSWERS_WIDTH + ((hash >>> 16) & ANSWERS_MASK);
  const sent = answersIn(state[first], window);
  const others = answersIn(state[second], window);
  if (sent >= L.ANSWERS_OF_SOURCE && others >= L.ANSWERS_OF_SOURCE) return false;
  if (sent <= others) state[first] = (window << 20) | (sent + 1);
  if (others <= sent) state[second] = (window << 20) | (others + 1);
  return true;
}

/** What a cell of the sketch of answers counts in a window. */
function answersIn(cell: number, window: number): number {
  return cell >>> 20 === window ? cell & 0xfffff : 0;
}

/**
 * What becomes of the SYN at hand, which was weighed.
 *
 * @param cookie whether one is wanted, and can answer it: its owner takes cookies, its options allow it, and the budget of answers does
 * @returns a verdict that answers or drops, or V_FORWARDED
 */
export function judgeSyn(p: PacketState, rules: number, counter: number, cookie: number): number {
  const { words } = p.image;
  const flags = words[rules + FLAGS];
  const own = counter * L.GUARDED_KINDS;
  const state = stateWord(counter);
  const enforces = (flags & L.RULES_SERVICE_ENFORCE) !== 0;
  const isLimited = (flags & L.RULES_SERVICE) !== 0;
  if (cookie !== COOKIE_UNWANTED) {
    const threshold = thresholdOf(p, rules, state);
    const cap = isLimited ? Math.min(threshold, words[rules + SERVICE_SYNS] >>> 0) : threshold;
    if ((flags & L.RULES_COOKIES_ENFORCE) !== 0) {
      if (cookie === COOKIE_CAN) {
        p.guarded[own + L.GUARDED_COOKIES]++;
        return L.V_SYN_COOKIE_ANSWERED;
      }
      if (passed >= cap) {
        p.guarded[own + L.GUARDED_SYN_LIMITED]++;
        return L.V_DROP_SYN_LIMITED;
      }
    } else if (cookie === COOKIE_CAN || passed >= cap) {
      p.guarded[own + (cookie === COOKIE_CAN ? L.GUARDED_WOULD_COOKIE : L.GUARDED_WOULD_SYN_LIMIT)]++;
      if (!enforces) return L.V_FORWARDED;
    }
  }
  if (isOver && enforces) {
    p.guarded[own + L.GUARDED_SERVICE_RATE]++;
    return L.V_DROP_SERVICE_RATE;
  }
  if (isOver) {
    p.guarded[own + L.GUARDED_WOULD_SERVICE_RATE]++;
    return L.V_FORWARDED;
  }
  if (cookie !== COOKIE_UNWANTED || isLimited) {
    countPlus(p.guardState, state + STATE_PASSED, windowAt(p.now, words[rules + SERVICE_RECIPROCAL]), 1);
  }
  return L.V_FORWARDED;
}

function thresholdOf(p: PacketState, rules: number, state: number): number {
  const own = p.guardState[state + STATE_THRESHOLD];
  return (own === 0 ? p.image.words[rules + THRESHOLD] : own) >>> 0;
}

/** Whether the rules judge SYNs once their owner is known. */
export function guardsSyns(p: PacketState, rules: number): boolean {
  return (p.image.words[rules + FLAGS] & GUARDS_SYNS) !== 0;
}

/** Counts a SYN among the service's: how many came within a window's time. */
function arrived(p: PacketState, state: number, counter: number, window: number, left: number): number {
  const pending = p.synsPending;
  const at = counter * 2;
  if (pending[at] >= L.SYN_BATCH || pending[at + 1] !== p.now) {
    if (pending[at] > 0) countPlus(p.guardState, state + STATE_ARRIVED, window, pending[at]);
    pending[at] = 0;
    pending[at + 1] = p.now;
  }
  pending[at]++;
  return countSliding(p.guardState, state + STATE_ARRIVED, window, left) + pending[at];
}

/** Whether more SYNs come than the threshold, or did lately; takes note of it. */
function isAboveThreshold(p: PacketState, state: number, threshold: number, came: number): boolean {
  const left = (p.guardState[state + STATE_COOKIES_UNTIL] - p.now) >>> 0;
  if (came > threshold) {
    if (left > L.COOKIES_HOLD || left < L.COOKIES_RENEW)
      p.guardState[state + STATE_COOKIES_UNTIL] = p.now + L.COOKIES_HOLD;
    return true;
  }
  return left > 0 && left <= L.COOKIES_HOLD;
}
