/**
 * Builds an image (native/include/anyhop/image.h) from resolved tables, services and paths: the last step of the control side. It
 * builds in new memory, beside the image in force.
 */
import { createHash } from 'node:crypto';
import type { HashMode, Protocol, ServiceConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { L } from '../core/layout.gen.js';
import { VIPS_MAX } from '../core/limits.js';
import type { FlowKey } from '../hash/key.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';
import { P } from '../packet/constants.js';
import type { BackendPath } from '../packet/path.js';
import { outerHeaderSum, writeTemplate } from '../packet/template.js';
import { planLanes, writeLanes } from './lanes.js';
import type { CounterNames } from './numbers.js';
import { vipHash } from './read.js';
import { type RulesInput, rulesBytes, writeRules } from './rules.js';
import { arrangeServices, type ServiceEntry, type VipEntry } from './vips.js';

export interface ImagePool {
  readonly name: string;
  /** M indexes into `backends`, or NONE. */
  readonly owners: Uint16Array;
  /** M keys (slotKeys in packet/second-chance-key.ts); the pool of a service with second chance has them. */
  readonly keys: Uint32Array | undefined;
  /** While its flow hash key changes. */
  readonly former?: FormerKey | undefined;
  readonly backends: readonly BackendPath[];
}

type FlowKeyOf = (mode: HashMode, protocol: Protocol, vip: IpAddress) => FlowKey;

/** The flow hash key before the present one, while connections live that were hashed with it. */
export interface FormerKey {
  /** M keys with the ids of those that may hold the connections of a slot of this key; 0: nobody. */
  readonly holders: Uint32Array;
  readonly flowKey: FlowKeyOf;
}

export interface ImageInput {
  /** Only rises. */
  readonly generation: number;
  /** Frames for other MAC addresses pass; undefined accepts all (capture files). */
  readonly mac: Uint8Array | undefined;
  /** The host's other MAC addresses on the interface, at most OTHER_MACS_MAX. */
  readonly otherMacs?: readonly Uint8Array[];
  readonly source4: IpPrefix | undefined;
  readonly source6: IpPrefix | undefined;
  readonly pools: readonly ImagePool[];
  readonly services: readonly ServiceConfig[];
  /** Counter number of each service (numbers.ts). */
  readonly serviceCounters: readonly number[];
  /** Names of the counters, by number: at least those that services and backends use. */
  readonly counterNames: CounterNames;
  /** Of the fleet's SYN cookies (hash/cookie-key.ts); without it no SYN is answered. */
  readonly cookieKey?: Uint8Array | undefined;
  readonly rules?: RulesInput | undefined;
  readonly flowKey: FlowKeyOf;
}

const HASH_MODES: Record<HashMode, number> = {
  '5-tuple': L.HASH_5_TUPLE,
  '3-tuple': L.HASH_3_TUPLE,
  source: L.HASH_SOURCE,
};

/** 64 places per VIP at the limit; more cannot be chance. */
const VIP_PLACES_MAX = VIPS_MAX * 64;

/** Position of a pool's tables and backends in the image. */
interface PoolPlace {
  readonly owners: number;
  /** 0: it has none. */
  readonly keys: number;
  readonly holders: number;
  readonly former: FormerKey | undefined;
  readonly slots: number;
  readonly backendFirst: number;
}

/** The image as one ArrayBuffer. The input must come from a validated config: references resolve, limits hold. */
export function buildImage(input: ImageInput): ArrayBuffer {
  const { vips, entries } = arrangeServices(input.services, input.serviceCounters);
  const places = placeVips(vips.map((vip) => vip.address));
  const backendCount = input.pools.reduce((sum, pool) => sum + pool.backends.length, 0);
  const tableBytes = input.pools.reduce((sum, pool) => sum + tablesBytes(pool), 0);

  const cookieOffset = L.SIZEOF_HEADER;
  const vipOffset = cookieOffset + (input.cookieKey === undefined ? 0 : L.SIZEOF_COOKIE_KEY);
  const serviceOffset = vipOffset + lines(places.length * L.SIZEOF_VIP);
  const formerOffset = serviceOffset + lines(entries.length * L.SIZEOF_SERVICE);
  const isRekeyed = input.pools.some(({ former }) => former !== undefined);
  const tableOffset = formerOffset + (isRekeyed ? lines(entries.length * L.SIZEOF_FORMER) : 0);
  const templateOffset = tableOffset + tableBytes;
  const pathOffset = templateOffset + backendCount * L.TEMPLATE_SIZE;
  const rulesOffset = pathOffset + lines(backendCount * L.SIZEOF_PATH);
  const rulesSize = rulesBytes(input.rules, input.counterNames.services.length);
  const lanes = planLanes(
    rulesOffset + rulesSize,
    entries,
    vips.map(({ address }) => address),
    backendCount,
    input.services,
  );
  const namesOffset = lanes.end;
  const names = new TextEncoder().encode(JSON.stringify(input.counterNames));
  const size = namesOffset + Math.max(L.READ_MAX, lines(names.length));

  const image = new ArrayBuffer(size);
  const writer = new ImageWriter(image);
  const { bytes } = writer;
  writer.put32(L.HEADER_MAGIC, L.IMAGE_MAGIC);
  writer.put32(L.HEADER_VERSION, L.IMAGE_VERSION);
  writer.put32(L.HEADER_SIZE, size);
  if (input.cookieKey !== undefined) {
    writer.put32(L.HEADER_COOKIE_OFFSET, cookieOffset);
    bytes.set(input.cookieKey, cookieOffset + L.COOKIE_KEY_WORDS);
  }
  writer.put32(L.HEADER_VIP_OFFSET, vipOffset);
  writer.put32(L.HEADER_VIP_MASK, places.length - 1);
  writer.put32(L.HEADER_SERVICE_OFFSET, serviceOffset);
  writer.put32(L.HEADER_SERVICE_COUNT, entries.length);
  writer.put32(L.HEADER_FORMER_OFFSET, isRekeyed ? formerOffset : 0);
  writer.put32(L.HEADER_TABLE_OFFSET, tableOffset);
  writer.put32(L.HEADER_TABLE_BYTES, tableBytes);
  writer.put32(L.HEADER_TEMPLATE_OFFSET, templateOffset);
  writer.put32(L.HEADER_PATH_OFFSET, pathOffset);
  writer.put32(L.HEADER_BACKEND_COUNT, backendCount);
  writer.put32(L.HEADER_FLAGS, input.mac === undefined ? 0 : L.IMAGE_CHECK_MAC);
  if (input.mac !== undefined) bytes.set(input.mac, L.HEADER_MAC);
  const { otherMacs = [] } = input;
  if (otherMacs.length > L.OTHER_MACS_MAX) throw new RangeError(`${otherMacs.length} other MAC addresses`);
  writer.put32(L.HEADER_OTHER_MAC_COUNT, otherMacs.length);
  for (const [i, mac] of otherMacs.entries()) bytes.set(mac, L.HEADER_OTHER_MACS + i * 8);
  writer.put32(L.HEADER_FLOW_HASH_VERSION, L.FLOW_HASH_VERSION);
  writer.put32(
    L.HEADER_SOURCE4_HOSTS,
    input.source4 === undefined ? 0 : 2 ** (32 - input.source4.length) - 1,
  );
  writer.put32(L.HEADER_SERVICE_COUNTERS, input.counterNames.services.length);
  writer.put32(L.HEADER_BACKEND_COUNTERS, input.counterNames.backends.length);
  writer.put32(L.HEADER_NAMES_OFFSET, namesOffset);
  writer.put32(L.HEADER_NAMES_BYTES, names.length);
  bytes.set(names, namesOffset);

  for (const [place, index] of places.entries()) {
    if (index >= 0) writer.putVip(vipOffset + place * L.SIZEOF_VIP, vips[index]);
  }
  const pools = new Map<string, PoolPlace>();
  let table = tableOffset;
  let backend = 0;
  for (const pool of input.pools) {
    const slots = pool.owners.length;
    const { former } = pool;
    const keys = pool.keys === undefined ? 0 : table + ownerBytes(pool);
    const holders = former === undefined ? 0 : table + ownerBytes(pool) + keyBytes(pool.keys);
    pools.set(pool.name, { owners: table, keys, holders, former, slots, backendFirst: backend });
    writeOwners(new Uint16Array(image, table, slots), pool);
    if (pool.keys !== undefined) new Uint32Array(image, keys, slots).set(pool.keys);
    if (former !== undefined) new Uint32Array(image, holders, slots).set(former.holders);
    table += tablesBytes(pool);
    for (const path of pool.backends) {
      const template = templateOffset + backend * L.TEMPLATE_SIZE;
      writer.putPath(
        pathOffset + backend++ * L.SIZEOF_PATH,
        path,
        ...writer.putTemplate(template, path, input),
      );
    }
  }
  for (const [index, entry] of entries.entries()) {
    const pool = pools.get(entry.pool);
    if (pool === undefined) throw new RangeError(`no pool ${entry.pool}`);
    const key = input.flowKey(entry.hash, entry.protocol, entry.vip);
    writer.putService(serviceOffset + index * L.SIZEOF_SERVICE, entry, key, pool);
    if (pool.former === undefined || !entry.secondChance) continue;
    const formerKey = pool.former.flowKey(entry.hash, entry.protocol, entry.vip);
    writer.putFormer(formerOffset + index * L.SIZEOF_FORMER, formerKey, pool.holders);
    writer.bytes[serviceOffset + index * L.SIZEOF_SERVICE + L.SERVICE_IS_REKEYED] = 1;
  }

  if (input.rules !== undefined && rulesSize > 0) {
    writer.put32(L.HEADER_RULES_OFFSET, rulesOffset);
    const counters = new Map(input.services.map(({ name }, i) => [name, input.serviceCounters[i]]));
    writeRules(writer.view, rulesOffset, input.rules, counters);
  }
  writeLanes(image, entries, lanes);

  bytes.set(createHash('sha256').update(bytes).digest(), L.HEADER_DIGEST);
  writer.put32(L.HEADER_GENERATION, input.generation);
  return image;
}

/** Writes the structs of native/include/anyhop/image.h, little-endian. */
class ImageWriter {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(image: ArrayBuffer) {
    this.bytes = new Uint8Array(image);
    this.view = new DataView(image);
  }

  put32(offset: number, value: number): void {
    this.view.setUint32(offset, value, true);
  }

  put16(offset: number, value: number): void {
    this.view.setUint16(offset, value, true);
  }

  putVip(at: number, vip: VipEntry): void {
    this.bytes.set(vip.address.bytes, at + L.VIP_ADDRESS + 16 - vip.address.bytes.length);
    this.bytes[at + L.VIP_FAMILY] = vip.address.family;
    this.put16(at + L.VIP_TCP_FIRST, vip.tcp.first);
    this.put16(at + L.VIP_TCP_COUNT, vip.tcp.count);
    this.put16(at + L.VIP_UDP_FIRST, vip.udp.first);
    this.put16(at + L.VIP_UDP_COUNT, vip.udp.count);
    this.put16(at + L.VIP_TCP_FRAGMENT, vip.tcp.fragment);
    this.put16(at + L.VIP_UDP_FRAGMENT, vip.udp.fragment);
  }

  putKey(at: number, key: FlowKey): void {
    for (const [i, word] of key.entries()) this.view.setInt32(at + i * 4, word, true);
  }

  putFormer(at: number, key: FlowKey, holders: number): void {
    this.putKey(at + L.FORMER_KEY, key);
    this.put32(at + L.FORMER_HOLDERS_OFFSET, holders);
  }

  putService(at: number, entry: ServiceEntry, key: FlowKey, pool: PoolPlace): void {
    this.putKey(at + L.SERVICE_KEY, key);
    this.put32(at + L.SERVICE_OWNERS_OFFSET, pool.owners);
    this.put32(at + L.SERVICE_KEYS_OFFSET, entry.secondChance ? pool.keys : 0);
    this.put32(at + L.SERVICE_SLOTS, pool.slots);
    this.put32(at + L.SERVICE_BACKEND_FIRST, pool.backendFirst);
    this.put16(at + L.SERVICE_COUNTER, entry.counter);
    this.bytes[at + L.SERVICE_HASH_MODE] = HASH_MODES[entry.hash];
    this.put16(at + L.SERVICE_PORT_FIRST, entry.portFirst);
    this.put16(at + L.SERVICE_PORT_LAST, entry.portLast);
  }

  /**
   * Writes nothing for a backend that packets never go to. @returns length of the part before the outer IP header, and the
   * header's sum
   */
  putTemplate(at: number, path: BackendPath, { source4, source6 }: ImageInput): [number, number] {
    const source = path.address.family === 4 ? source4 : source6;
    if (!path.isReachable && source === undefined) return [P.ETHERNET_HEADER, 0];
    const length = writeTemplate(this.bytes, this.view, at, path, source4?.address, source6?.address);
    return [length, path.address.family === 4 ? outerHeaderSum(this.view, at + length) : 0];
  }

  putPath(at: number, path: BackendPath, l2Length: number, headerSum: number): void {
    this.put16(at + L.PATH_MTU, path.mtu);
    this.bytes[at + L.PATH_L2_LENGTH] = l2Length;
    this.bytes[at + L.PATH_FLAGS] =
      (path.address.family === 6 ? L.PATH_OUTER_IPV6 : 0) |
      (path.agent ? L.PATH_AGENT : 0) |
      (path.cookies === true ? L.PATH_COOKIES : 0);
    this.put32(at + L.PATH_INTERFACE_INDEX, path.interfaceIndex);
    this.put16(at + L.PATH_ID, path.id);
    this.put16(at + L.PATH_CHECKSUM, headerSum);
    this.put16(at + L.PATH_COUNTER, path.counter);
  }
}

/**
 * Takes the slots of owners without a next hop, which a table may have when no backend is up or in panic. An alternate needs no
 * path.
 */
function writeOwners(table: Uint16Array, { owners, backends }: ImagePool): void {
  table.set(owners);
  if (backends.every(({ isReachable }) => isReachable)) return;
  const isReachable = Uint8Array.from(backends, (backend) => (backend.isReachable ? 1 : 0));
  for (let slot = 0; slot < table.length; slot++) {
    const owner = table[slot];
    if (owner !== L.NONE && isReachable[owner] === 0) table[slot] = L.NONE;
  }
}

function ownerBytes({ owners }: ImagePool): number {
  return lines(owners.byteLength);
}

function tablesBytes(pool: ImagePool): number {
  return ownerBytes(pool) + keyBytes(pool.keys) + keyBytes(pool.former?.holders);
}

function keyBytes(keys: Uint32Array | undefined): number {
  return keys === undefined ? 0 : lines(keys.byteLength);
}

/** Rounds up to whole cache lines. */
function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/**
 * An open-addressed array of VIP indexes, or -1. Its size is a power of two, at least twice the number of VIPs, and grows until
 * no search is longer than VIP_PROBES_MAX.
 */
function placeVips(addresses: readonly IpAddress[]): number[] {
  for (let capacity = 2; capacity <= VIP_PLACES_MAX; capacity *= 2) {
    if (capacity < addresses.length * 2) continue;
    const places = new Array<number>(capacity).fill(-1);
    const allPlaced = addresses.every((address, index) => {
      const word = new DataView(new ArrayBuffer(16));
      new Uint8Array(word.buffer).set(address.bytes, 16 - address.bytes.length);
      const hash = vipHash(
        word.getInt32(0, true),
        word.getInt32(4, true),
        word.getInt32(8, true),
        word.getInt32(12, true),
      );
      for (let probe = 0; probe < L.VIP_PROBES_MAX; probe++) {
        const place = (hash + probe) & (capacity - 1);
        if (places[place] >= 0) continue;
        places[place] = index;
        return true;
      }
      return false;
    });
    if (allPlaced) return places;
  }
  throw new AnyhopError('ERR_LIMIT', `the ${addresses.length} VIPs collide in the search table`, {
    hint: 'Change one of the VIPs: too many of them share a hash.',
  });
}
