/**
 * Builds an image (native/include/anyhop/image.h) out of resolved tables, services and the ways to the backends: the
 * last step of the control side. A new image is built in new memory beside the live one, which nobody edits.
 */
import { createHash } from 'node:crypto';
import type { HashMode, Protocol, ServiceConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import * as L from '../core/layout.gen.js';
import { VIPS_MAX } from '../core/limits.js';
import { vipHash } from '../forward/image.js';
import type { FlowKey } from '../hash/key.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';
import { outerHeaderSum, writeTemplate } from './template.js';

/** How packets reach a backend. */
export interface BackendPath {
  /** Stable name, for counters: `pool/backend`. */
  readonly name: string;
  readonly address: IpAddress;
  readonly agent: boolean;
  /** Of the way, at layer 3, in bytes: PATH_MTU_MIN to 65535. */
  readonly mtu: number;
  /** 0 for the interface that the packet came in on. */
  readonly interfaceIndex: number;
  /** Six bytes each. */
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
  /** VLAN identifier 1 to 4094 of the next hop, if tagged. */
  readonly vlan: number | undefined;
  /** Number of its counters (numbers.ts). */
  readonly counter: number;
}

export interface ImagePool {
  readonly name: string;
  /** M owners and M alternates: indexes into `backends`, NONE for none. */
  readonly owners: Uint16Array;
  readonly alternates: Uint16Array;
  readonly backends: readonly BackendPath[];
}

export interface ImageInput {
  /** Only rises. */
  readonly generation: number;
  /** Frames for another address than this pass untouched; undefined accepts all (files). */
  readonly mac: Uint8Array | undefined;
  readonly source4: IpPrefix | undefined;
  readonly source6: IpPrefix | undefined;
  readonly pools: readonly ImagePool[];
  readonly services: readonly ServiceConfig[];
  /** Number of each service's counters (numbers.ts). */
  readonly serviceCounters: readonly number[];
  readonly flowKey: (mode: HashMode, protocol: Protocol, vip: IpAddress) => FlowKey;
}

const HASH_MODES: Record<HashMode, number> = {
  '5-tuple': L.HASH_5_TUPLE,
  '3-tuple': L.HASH_3_TUPLE,
  source: L.HASH_SOURCE,
};

/** 64 places a VIP at the limit: more cannot be chance. */
const VIP_PLACES_MAX = VIPS_MAX * 64;

interface ServiceEntry {
  readonly pool: number;
  readonly key: FlowKey;
  readonly mode: HashMode;
  readonly secondChance: boolean;
  /** Whose counters it feeds: those of a configured service. */
  readonly counter: number;
}

interface VipEntry {
  readonly address: IpAddress;
  readonly ports: Record<Protocol, { first: number; last: number; service: number }[]>;
}

/** The image as one ArrayBuffer. The input must be a validated config's: references resolve, limits hold. */
export function buildImage(input: ImageInput): ArrayBuffer {
  const poolIndex = new Map(input.pools.map((pool, index) => [pool.name, index]));
  const entries: ServiceEntry[] = [];
  const vips = new Map<string, VipEntry>();
  for (const [index, service] of input.services.entries()) {
    const pool = poolIndex.get(service.pool);
    if (pool === undefined) throw new RangeError(`service ${service.name}: no pool ${service.pool}`);
    const key = input.flowKey(service.hash, service.protocol, service.vip);
    entries.push({
      pool,
      key,
      mode: service.hash,
      secondChance: service.secondChance,
      counter: input.serviceCounters[index],
    });
    const vip = vips.get(service.vip.text) ?? { address: service.vip, ports: { tcp: [], udp: [] } };
    vips.set(service.vip.text, vip);
    vip.ports[service.protocol].push({ first: service.portFirst, last: service.portLast, service: index });
  }
  const fragments = new Map([...vips].map(([text, vip]) => [text, addFragmentServices(input, entries, vip)]));
  return write(input, entries, [...vips.values()], fragments);
}

interface FragmentServices {
  readonly tcp: number;
  readonly udp: number;
}

/** The extra service entries that answer for a VIP's fragments, which show no ports. */
function addFragmentServices(input: ImageInput, entries: ServiceEntry[], vip: VipEntry): FragmentServices {
  const choose = (protocol: Protocol): number => {
    const configured = vip.ports[protocol].map((range) => entries[range.service]);
    const first = configured[0];
    if (first === undefined) return L.FRAGMENT_AMBIGUOUS; // not looked at: without ports there is no service
    if (protocol === 'tcp' && configured.some((entry) => entry.mode === '5-tuple'))
      return L.FRAGMENT_NEEDS_PORTS;
    if (configured.some((entry) => entry.pool !== first.pool)) return L.FRAGMENT_AMBIGUOUS;
    const bySource = configured.filter((entry) => entry.mode === 'source').length;
    if (bySource > 0 && bySource < configured.length) return L.FRAGMENT_AMBIGUOUS;
    const mode = bySource > 0 ? 'source' : '3-tuple';
    const key = input.flowKey(mode, protocol, vip.address);
    entries.push({ ...first, key, mode, secondChance: false });
    return entries.length - 1;
  };
  return { tcp: choose('tcp'), udp: choose('udp') };
}

function write(
  input: ImageInput,
  entries: readonly ServiceEntry[],
  vips: readonly VipEntry[],
  fragments: ReadonlyMap<string, FragmentServices>,
): ArrayBuffer {
  const places = placeVips(vips.map((vip) => vip.address));
  const portCount = vips.reduce((sum, vip) => sum + vip.ports.tcp.length + vip.ports.udp.length, 0);
  const backendCount = input.pools.reduce((sum, pool) => sum + pool.backends.length, 0);
  const tableBytes = input.pools.reduce((sum, pool) => sum + 2 * lines(pool.owners.byteLength), 0);

  const vipOffset = L.SIZEOF_HEADER;
  const portOffset = vipOffset + lines(places.length * L.SIZEOF_VIP);
  const serviceOffset = portOffset + lines(portCount * L.SIZEOF_PORT);
  const tableOffset = serviceOffset + lines(entries.length * L.SIZEOF_SERVICE);
  const templateOffset = tableOffset + tableBytes;
  const pathOffset = templateOffset + backendCount * L.TEMPLATE_SIZE;
  const size = pathOffset + lines(backendCount * L.SIZEOF_PATH);

  const image = new ArrayBuffer(size);
  const view = new DataView(image);
  const bytes = new Uint8Array(image);
  const put32 = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const put16 = (offset: number, value: number): void => view.setUint16(offset, value, true);

  put32(L.HEADER_MAGIC, L.IMAGE_MAGIC);
  put32(L.HEADER_VERSION, L.IMAGE_VERSION);
  put32(L.HEADER_SIZE, size);
  put32(L.HEADER_VIP_OFFSET, vipOffset);
  put32(L.HEADER_VIP_MASK, places.length - 1);
  put32(L.HEADER_PORT_OFFSET, portOffset);
  put32(L.HEADER_PORT_COUNT, portCount);
  put32(L.HEADER_SERVICE_OFFSET, serviceOffset);
  put32(L.HEADER_SERVICE_COUNT, entries.length);
  put32(L.HEADER_TABLE_OFFSET, tableOffset);
  put32(L.HEADER_TABLE_BYTES, tableBytes);
  put32(L.HEADER_TEMPLATE_OFFSET, templateOffset);
  put32(L.HEADER_PATH_OFFSET, pathOffset);
  put32(L.HEADER_BACKEND_COUNT, backendCount);
  put32(L.HEADER_FLAGS, input.mac === undefined ? 0 : L.IMAGE_CHECK_MAC);
  if (input.mac !== undefined) bytes.set(input.mac, L.HEADER_MAC);
  put32(L.HEADER_SOURCE4_HOSTS, input.source4 === undefined ? 0 : 2 ** (32 - input.source4.length) - 1);

  put32(L.HEADER_SERVICE_COUNTERS, 1 + Math.max(-1, ...input.serviceCounters));
  put32(L.HEADER_BACKEND_COUNTERS, 1 + highestCounter(input.pools));

  let port = 0;
  const putPorts = (ranges: VipEntry['ports']['tcp']): void => {
    for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
      const at = portOffset + port++ * L.SIZEOF_PORT;
      put16(at + L.PORT_FIRST, range.first);
      put16(at + L.PORT_LAST, range.last);
      put16(at + L.PORT_SERVICE, range.service);
    }
  };
  for (const [place, index] of places.entries()) {
    if (index < 0) continue;
    const vip = vips[index];
    const at = vipOffset + place * L.SIZEOF_VIP;
    bytes.set(vip.address.bytes, at + L.VIP_ADDRESS + 16 - vip.address.bytes.length);
    bytes[at + L.VIP_FAMILY] = vip.address.family;
    put16(at + L.VIP_TCP_FIRST, port);
    put16(at + L.VIP_TCP_COUNT, vip.ports.tcp.length);
    putPorts(vip.ports.tcp);
    put16(at + L.VIP_UDP_FIRST, port);
    put16(at + L.VIP_UDP_COUNT, vip.ports.udp.length);
    putPorts(vip.ports.udp);
    put16(at + L.VIP_TCP_FRAGMENT, fragments.get(vip.address.text)!.tcp);
    put16(at + L.VIP_UDP_FRAGMENT, fragments.get(vip.address.text)!.udp);
  }

  const tables: { owners: number; alternates: number; backendFirst: number }[] = [];
  let table = tableOffset;
  let backend = 0;
  for (const pool of input.pools) {
    const stride = lines(pool.owners.byteLength);
    new Uint16Array(image, table, pool.owners.length).set(pool.owners);
    new Uint16Array(image, table + stride, pool.owners.length).set(pool.alternates);
    tables.push({ owners: table, alternates: table + stride, backendFirst: backend });
    table += 2 * stride;
    for (const path of pool.backends) {
      const template = bytes
        .subarray(templateOffset + backend * L.TEMPLATE_SIZE)
        .subarray(0, L.TEMPLATE_SIZE);
      const l2Length = writeTemplate(template, path, input.source4?.address, input.source6?.address);
      const at = pathOffset + backend++ * L.SIZEOF_PATH;
      put16(at + L.PATH_MTU, path.mtu);
      bytes[at + L.PATH_L2_LENGTH] = l2Length;
      bytes[at + L.PATH_FLAGS] =
        (path.address.family === 6 ? L.PATH_OUTER_IPV6 : 0) | (path.agent ? L.PATH_AGENT : 0);
      put32(at + L.PATH_INTERFACE_INDEX, path.interfaceIndex);
      bytes.set(path.address.bytes.subarray(-4), at + L.PATH_KEY);
      put16(at + L.PATH_CHECKSUM, path.address.family === 4 ? outerHeaderSum(template, l2Length) : 0);
      put16(at + L.PATH_COUNTER, path.counter);
    }
  }

  for (const [index, entry] of entries.entries()) {
    const at = serviceOffset + index * L.SIZEOF_SERVICE;
    view.setInt32(at + L.SERVICE_KEY, entry.key[0], true);
    view.setInt32(at + L.SERVICE_KEY + 4, entry.key[1], true);
    put32(at + L.SERVICE_OWNERS_OFFSET, tables[entry.pool].owners);
    put32(at + L.SERVICE_ALTERNATES_OFFSET, tables[entry.pool].alternates);
    put32(at + L.SERVICE_SLOTS, input.pools[entry.pool].owners.length);
    put32(at + L.SERVICE_BACKEND_FIRST, tables[entry.pool].backendFirst);
    put16(at + L.SERVICE_COUNTER, entry.counter);
    bytes[at + L.SERVICE_HASH_MODE] = HASH_MODES[entry.mode];
    bytes[at + L.SERVICE_FLAGS] = entry.secondChance ? L.SERVICE_SECOND_CHANCE : 0;
  }

  bytes.set(createHash('sha256').update(bytes).digest(), L.HEADER_DIGEST);
  put32(L.HEADER_GENERATION, input.generation);
  return image;
}

function highestCounter(pools: readonly ImagePool[]): number {
  let highest = -1;
  for (const pool of pools) for (const { counter } of pool.backends) highest = Math.max(highest, counter);
  return highest;
}

/** Rounded up to whole cache lines. */
function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/**
 * An open-addressed array of at least twice the size (a power of two), grown until no search is longer than
 * VIP_PROBES_MAX: a place holds the index of its VIP, or -1.
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
    hint: 'Change one of the VIPs: more of them than chance allows share a hash.',
  });
}
