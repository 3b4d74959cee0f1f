/**
 * Lanes and their paths (native/include/anyhop/lane.h): what the C pipeline reads of an image in the place of VIPs, services, paths and
 * templates, put together from them when all the rest of the image stands.
 *
 * A lane has two places, each a product of its key and an odd number: cuckoo hashing (Pagh and Rodler 2004), so a search ends after
 * two looks, mostly after one. A service that finds neither place free, whoever is moved out of the way, has no lane.
 */
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';
import { P } from '../packet/constants.js';
import type { ServiceEntry } from './vips.js';

/** Places for each lane to begin with: with half as many, keys begin to find none. Doubled so often where a key finds none all the same. */
const PLACES_A_LANE = 4;
const DOUBLINGS_MAX = 4;
const MOVES_MAX = 100;
/** One UDP packet in so many goes the long way because its source has a VIP's bit. */
const FILTER_BITS_A_VIP = 64;
const FREE = 0xffff_ffff;

/** The lanes of one family. */
interface Table {
  /** Offset in the image, and bytes of a lane. */
  readonly start: number;
  readonly size: number;
  readonly places: number;
  /** Numbers of the services that have lanes, their keys, and where these stand. */
  readonly numbers: readonly number[];
  readonly keys: readonly LaneKey[];
  readonly placing: Placing;
}

export interface LanesPlan {
  /** Offsets in the image. */
  readonly paths: number;
  readonly end: number;
  readonly tables: readonly [Table, Table];
  readonly filter: Filter;
}

/** Which addresses may be VIPs: one bit of so many for each. */
interface Filter {
  readonly start: number;
  readonly bytes: number;
  readonly vips: readonly IpAddress[];
}

type Placed = Omit<Table, 'start'>;

/** By the services of a config, since placing thousands of them takes longer than a health change may. */
const placedBefore = new WeakMap<object, readonly [Placed, Placed]>();

/**
 * @param at where they start, on a cache line
 * @param services in the order of the image
 * @param origin what the services come from: while it is the same object, they are the same
 */
export function planLanes(
  at: number,
  services: readonly ServiceEntry[],
  vips: readonly IpAddress[],
  backends: number,
  origin: object,
): LanesPlan {
  const placed = placedBefore.get(origin) ?? [
    placeTable(L.SIZEOF_LANE, services, 4),
    placeTable(L.SIZEOF_LANE6, services, 6),
  ];
  placedBefore.set(origin, placed);
  const table4 = { ...placed[0], start: at + backends * L.SIZEOF_LANE_PATH };
  const table6 = { ...placed[1], start: table4.start + table4.places * table4.size };
  const filter = {
    start: table6.start + table6.places * table6.size,
    bytes: 2 ** Math.ceil(Math.log2(Math.max(64, (vips.length * FILTER_BITS_A_VIP) / 8))),
    vips,
  };
  return { paths: at, tables: [table4, table6], filter, end: filter.start + filter.bytes };
}

function placeTable(size: number, services: readonly ServiceEntry[], family: 4 | 6): Placed {
  const numbers = withLanes(services).filter((number) => services[number].vip.family === family);
  const keys = numbers.map((number) => keyOf(services[number]));
  let places = 2 ** Math.ceil(Math.log2(Math.max(2, keys.length * PLACES_A_LANE)));
  let placing = placeKeys(keys, places, size);
  for (let doubled = 0; placing.left > 0 && doubled < DOUBLINGS_MAX; doubled++) {
    places *= 2;
    placing = placeKeys(keys, places, size);
  }
  return { size, places, numbers, keys, placing };
}

/** Numbers of the services of one port, and of the widest range of each VIP and protocol. What answers for fragments has no port. */
function withLanes(services: readonly ServiceEntry[]): number[] {
  const single: number[] = [];
  const widest = new Map<string, number>();
  const width = ({ portFirst, portLast }: ServiceEntry): number => portLast - portFirst;
  for (const [number, service] of services.entries()) {
    if (service.portFirst === 0) continue;
    if (width(service) === 0) {
      single.push(number);
      continue;
    }
    const name = `${service.protocol} ${service.vip.text}`;
    const other = widest.get(name);
    if (other === undefined || width(service) > width(services[other])) widest.set(name, number);
  }
  return [...single, ...widest.values()];
}

export function writeLanes(image: ArrayBuffer, services: readonly ServiceEntry[], plan: LanesPlan): void {
  new LanesWriter(image, plan).write(services);
}

class LanesWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #plan: LanesPlan;

  constructor(image: ArrayBuffer, plan: LanesPlan) {
    this.#bytes = new Uint8Array(image);
    this.#view = new DataView(image);
    this.#words = new Uint32Array(image);
    this.#plan = plan;
  }

  write(services: readonly ServiceEntry[]): void {
    this.#writeHeader();
    this.#writeFilter(this.#plan.filter);
    for (let backend = 0; backend < this.#header(L.HEADER_BACKEND_COUNT); backend++)
      this.#writePath(backend, this.#plan.paths + backend * L.SIZEOF_LANE_PATH);
    for (const { start, size, places, numbers, keys, placing } of this.#plan.tables) {
      for (let at = start; at < start + places * size; at += size) this.#words.fill(FREE, at / 4, at / 4 + 2);
      for (const [place, index] of placing.held.entries()) {
        if (index < 0 || this.#isRekeyed(numbers[index])) continue;
        this.#writeLane(start + place * size, numbers[index], services[numbers[index]], keys[index]);
      }
      for (const [index, key] of keys.entries()) {
        if (placing.isSecond[index] === 0) continue;
        this.#bytes[start + placeOf(key, 0, places, size) * size + L.LANE_OVERFLOW] = 1;
      }
    }
  }

  #writeFilter({ start, bytes, vips }: Filter): void {
    for (const vip of vips) {
      const bit = multiply(spreadOf(vip, 0), MULTIPLIERS[0])[1] >>> 8;
      this.#bytes[start + ((bit >>> 3) & (bytes - 8)) + ((bit & 63) >>> 3)] |= 1 << (bit & 7);
    }
  }

  #header(offset: number): number {
    return this.#words[offset / 4];
  }

  #writeHeader(): void {
    const [table4, table6] = this.#plan.tables;
    const view = this.#view;
    const at = L.HEADER_LANES;
    if ((this.#header(L.HEADER_FLAGS) & L.IMAGE_CHECK_MAC) === 0) {
      view.setUint32(at + L.LANES_MAC_MASK, 1, true); // any but a group's
    } else {
      view.setUint32(at + L.LANES_MAC_MASK, 0xffff_ffff, true);
      view.setUint32(at + L.LANES_MAC_MASK + 4, 0xffff, true);
      this.#bytes.copyWithin(at + L.LANES_MAC, L.HEADER_MAC, L.HEADER_MAC + 6);
    }
    for (const [i, [low, high]] of MULTIPLIERS.entries()) {
      view.setUint32(at + L.LANES_MULTIPLIERS + i * 8, low, true);
      view.setUint32(at + L.LANES_MULTIPLIERS + i * 8 + 4, high, true);
    }
    view.setUint32(at + L.LANES_OFFSET4, table4.start, true);
    view.setUint32(at + L.LANES_MASK4, (table4.places - 1) * table4.size, true);
    view.setUint32(at + L.LANES_OFFSET6, table6.start, true);
    view.setUint32(at + L.LANES_MASK6, (table6.places - 1) * table6.size, true);
    view.setUint32(at + L.LANES_SOURCE4_HOSTS, this.#header(L.HEADER_SOURCE4_HOSTS)); // raw is big-endian
    view.setUint32(at + L.LANES_PATH_OFFSET, this.#plan.paths, true);
    view.setUint32(at + L.LANES_FILTER_OFFSET, this.#plan.filter.start, true);
    view.setUint32(at + L.LANES_FILTER_MASK, this.#plan.filter.bytes - 8, true);
  }

  #writePath(backend: number, at: number): void {
    const view = this.#view;
    const path = this.#header(L.HEADER_PATH_OFFSET) + backend * L.SIZEOF_PATH;
    const template = this.#header(L.HEADER_TEMPLATE_OFFSET) + backend * L.TEMPLATE_SIZE;
    const l2Length = this.#bytes[path + L.PATH_L2_LENGTH];
    const isTagged = l2Length !== P.ETHERNET_HEADER;
    const isIpv6 = (this.#bytes[path + L.PATH_FLAGS] & L.PATH_OUTER_IPV6) !== 0;
    const overhead = (isIpv6 ? P.IPV6_HEADER : P.IPV4_HEADER) + P.GRE_HEADER;
    view.setUint16(
      at + L.LANE_PATH_MOST,
      Math.max(0, view.getUint16(path + L.PATH_MTU, true) - overhead),
      true,
    );
    this.#bytes[at + L.LANE_PATH_SHAPE] = (isTagged ? L.LANE_TAGGED : 0) | (isIpv6 ? L.LANE_OUTER_IPV6 : 0);
    const counter = view.getUint16(path + L.PATH_COUNTER, true);
    view.setUint32(at + L.LANE_PATH_COUNTER, counter * L.SIZEOF_TRAFFIC, true);
    this.#bytes[at + L.LANE_PATH_TAKES_COOKIES] =
      (this.#bytes[path + L.PATH_FLAGS] & L.PATH_COOKIES) !== 0 ? 1 : 0;
    const out = view.getUint32(path + L.PATH_INTERFACE_INDEX, true);
    view.setUint32(at + L.LANE_PATH_INTERFACE_INDEX, out, true);
    if (isIpv6) {
      view.setUint16(at + L.LANE_PATH_CHECKSUM + 2, view.getUint16(template + l2Length + 6)); // next header, hop limit
    } else {
      view.setUint16(at + L.LANE_PATH_CHECKSUM, view.getUint16(path + L.PATH_CHECKSUM, true)); // raw is big-endian
    }
    const from = isIpv6
      ? [0, 8, l2Length + 8, l2Length + 16, l2Length + 24, l2Length + 32]
      : [0, 8, 16, 24, isTagged ? 32 : 30];
    for (const [i, offset] of from.entries()) {
      const word = at + L.LANE_PATH_WORDS + i * 8;
      this.#bytes.copyWithin(word, template + offset, template + offset + 8);
    }
    // What the packet side puts together by itself is not in these words; of GRE that is all.
    if (!isIpv6)
      this.#bytes.fill(0, at + L.LANE_PATH_WORDS + (isTagged ? 38 : 36), at + L.LANE_PATH_WORDS + 40);
    else if (!isTagged) this.#bytes.fill(0, at + L.LANE_PATH_WORDS + 14, at + L.LANE_PATH_WORDS + 16);
  }

  /** Two hashes a packet are for the long way. */
  #isRekeyed(number: number): boolean {
    const service = this.#header(L.HEADER_SERVICE_OFFSET) + number * L.SIZEOF_SERVICE;
    return this.#bytes[service + L.SERVICE_IS_REKEYED] !== 0;
  }

  #rulesFlags(counter: number): number {
    const rules = this.#header(L.HEADER_RULES_OFFSET);
    return rules === 0
      ? 0
      : this.#header(rules + L.SIZEOF_DEFENCE + counter * L.SIZEOF_RULES + L.RULES_FLAGS);
  }

  #writeLane(at: number, number: number, entry: ServiceEntry, key: LaneKey): void {
    const view = this.#view;
    const service = this.#header(L.HEADER_SERVICE_OFFSET) + number * L.SIZEOF_SERVICE;
    const word = (i: number): number => view.getUint32(service + L.SERVICE_KEY + 4 * i, true);
    const put = (offset: number, value: number): void => view.setUint32(at + offset, value, true);
    const hasPorts = entry.hash === '5-tuple';
    put(L.LANE_KEY, key.low);
    put(L.LANE_KEY + 4, key.high);
    for (let i = 0; i < 2; i++) put(L.LANE_NH + 4 * i, word(i));
    for (let i = 0; i < 4; i++) put(L.LANE_FINISH + 4 * i, word(6 + i));
    put(L.LANE_OWNERS_OFFSET, view.getUint32(service + L.SERVICE_OWNERS_OFFSET, true));
    put(L.LANE_KEYS_OFFSET, view.getUint32(service + L.SERVICE_KEYS_OFFSET, true));
    put(L.LANE_SLOTS, view.getUint32(service + L.SERVICE_SLOTS, true));
    const first = view.getUint32(service + L.SERVICE_BACKEND_FIRST, true);
    put(L.LANE_PATHS_OFFSET, this.#plan.paths + first * L.SIZEOF_LANE_PATH);
    put(L.LANE_COUNTER, L.SIZEOF_COUNTERS + entry.counter * L.SIZEOF_TRAFFIC);
    put(L.LANE_PORTS, hasPorts ? 0xffff_ffff : 0);
    const ip = entry.vip.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
    view.setUint16(at + L.LANE_LEAST, ip + (entry.protocol === 'tcp' ? P.TCP_HEADER : P.UDP_HEADER), true);
    this.#bytes[at + L.LANE_GUARDED] = this.#rulesFlags(entry.counter); // the low byte
    view.setUint16(at + L.LANE_PORT_FIRST, entry.portFirst, true);
    view.setUint16(at + L.LANE_PORT_LAST, entry.portLast, true);
    if (entry.vip.family === 4) return;
    this.#bytes.set(entry.vip.bytes, at + L.LANE6_ADDRESS);
    for (let i = 0; i < 4; i++) put(L.LANE6_NH + 4 * i, i < 2 || hasPorts ? word(2 + i) : 0);
  }
}

/** ANYHOP_LANE_RANGE, in the upper half of a key. */
const RANGE = 1 << 24;

/** The lane's key, and what its places come from, as halves of 64 bits. */
interface LaneKey {
  readonly low: number;
  readonly high: number;
  readonly spread: Halves;
}

type Halves = readonly [low: number, high: number];

/** 2^64 over the golden ratio, and a constant of the SplitMix64 generator; odd. */
const MULTIPLIERS: readonly [Halves, Halves] = [
  [0x7f4a_7c15, 0x9e37_79b9],
  [0x1ce4_e5b9, 0xbf58_476d],
];
/** ANYHOP_LANE_LOW_FACTOR. */
const LOW_FACTOR: Halves = [0x6659_fd93, 0xd6e8_feb8];

function keyOf({ vip, protocol, portFirst, portLast }: ServiceEntry): LaneKey {
  const rawPort = ((portFirst & 0xff) << 8) | (portFirst >>> 8);
  const port = portFirst === portLast ? rawPort : RANGE;
  const high = ((protocol === 'tcp' ? P.PROTOCOL_TCP : P.PROTOCOL_UDP) << 16) | port;
  const spread = spreadOf(vip, high);
  return { low: vip.family === 4 ? spread[0] : 0, high, spread };
}

/** anyhop_spread6, and the same for an IPv4 address, with 32 bits more in the upper half. */
function spreadOf({ bytes, family }: IpAddress, high: number): Halves {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (family === 4) return [view.getUint32(0, true), high];
  const [lowProduct, highProduct] = multiply([view.getUint32(12), view.getUint32(8)], LOW_FACTOR);
  const sum = view.getUint32(4) + lowProduct;
  const upper = view.getUint32(0) + highProduct + (sum > FREE ? 1 : 0);
  return [sum >>> 0, ((upper >>> 0) ^ high) >>> 0];
}

/** The product, modulo 2^64. */
function multiply([low, high]: Halves, [byLow, byHigh]: Halves): Halves {
  const upper = Math.imul(low, byHigh) + Math.imul(high, byLow) + upperHalf(low, byLow);
  return [Math.imul(low, byLow) >>> 0, upper >>> 0];
}

/** Of the product of two words. */
function upperHalf(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = a1 * b0 + Math.floor((a0 * b0) / 0x1_0000);
  const other = a0 * b1 + (middle % 0x1_0000);
  return a1 * b1 + Math.floor(middle / 0x1_0000) + Math.floor(other / 0x1_0000);
}

/** The number of a key's first (0) or second (1) place, of those of `size` bytes. */
function placeOf({ spread }: LaneKey, which: 0 | 1, places: number, size: number): number {
  return ((multiply(spread, MULTIPLIERS[which])[1] >>> 8) & ((places - 1) * size)) / size;
}

interface Placing {
  /** The index of the key at each place, or -1. */
  readonly held: Int32Array;
  /** 1 for each key that stands at its second place. */
  readonly isSecond: Uint8Array;
  /** Keys that found no place. */
  readonly left: number;
}

function placeKeys(keys: readonly LaneKey[], places: number, size: number): Placing {
  const held = new Int32Array(places).fill(-1);
  const isSecond = new Uint8Array(keys.length);
  const placesOf = keys.map((key) => [placeOf(key, 0, places, size), placeOf(key, 1, places, size)] as const);
  let left = 0;
  for (let next = 0; next < keys.length; next++) {
    // Whoever is moved out of a place goes to its other one, and moves out who stands there.
    let index = next;
    for (let which = 0, moves = 0; index >= 0 && moves < MOVES_MAX; moves++) {
      const place = placesOf[index][which];
      const other = held[place];
      held[place] = index;
      isSecond[index] = which;
      index = other;
      if (index >= 0) which = 1 - isSecond[index];
    }
    if (index >= 0) left++;
  }
  return { held, isSecond, left };
}
