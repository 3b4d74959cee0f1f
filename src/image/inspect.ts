/** Reads an image for `anyhop image` and for engines' other needs. It shows everything but the flow hash keys. */
import { L } from '../core/layout.gen.js';
import { addressFromBytes, type IpAddress } from '../packet/address.js';
import { formatMac } from '../packet/mac.js';
import type { CounterNames } from './numbers.js';
import type { Image } from './read.js';

export interface ImageService {
  readonly protocol: 'tcp' | 'udp';
  readonly portFirst: number;
  readonly portLast: number;
  readonly vip: IpAddress;
  readonly counter: number;
  readonly hash: '5-tuple' | '3-tuple' | 'source';
  readonly secondChance: boolean;
  readonly slots: number;
  /** First backend of the pool, by number. */
  readonly backendFirst: number;
}

export interface ImageBackend {
  readonly address: IpAddress;
  readonly source: IpAddress;
  readonly mtu: number;
  readonly flags: number;
  /** Names it in GRE keys; 0: none. */
  readonly id: number;
  readonly interfaceIndex: number;
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly vlan: number | undefined;
  readonly counter: number;
}

const HASH_NAMES = {
  [L.HASH_5_TUPLE]: '5-tuple',
  [L.HASH_3_TUPLE]: '3-tuple',
  [L.HASH_SOURCE]: 'source',
} as const;

/** The VIPs, in the order of the search table. */
export function imageVips(image: Image): IpAddress[] {
  return vipPlaces(image).map(({ address }) => address);
}

/** The host's MAC addresses on the interface, the interface's own first; none when the image accepts any. */
export function imageMacs({ checkMac, bytes, otherMacs }: Image): Uint8Array[] {
  if (!checkMac) return [];
  const at = (offset: number): Uint8Array => bytes.slice(offset, offset + 6);
  const others = Array.from({ length: otherMacs.length / 2 }, (_, i) => at(L.HEADER_OTHER_MACS + i * 8));
  return [at(L.HEADER_MAC), ...others];
}

/** Every service that packets match by port; entries for fragments are left out. */
export function imageServices(image: Image): ImageService[] {
  const { halves, bytes, words } = image;
  const services: ImageService[] = [];
  for (const { address, word } of vipPlaces(image)) {
    for (const protocol of ['tcp', 'udp'] as const) {
      const range = word * 2 + (protocol === 'tcp' ? L.VIP_TCP_FIRST : L.VIP_UDP_FIRST) / 2;
      for (let i = 0; i < halves[range + 1]; i++) {
        const service = image.service(halves[range] + i);
        services.push({
          protocol,
          portFirst: halves[service * 2 + L.SERVICE_PORT_FIRST / 2],
          portLast: halves[service * 2 + L.SERVICE_PORT_LAST / 2],
          vip: address,
          counter: halves[service * 2 + L.SERVICE_COUNTER / 2],
          hash: HASH_NAMES[bytes[service * 4 + L.SERVICE_HASH_MODE] as keyof typeof HASH_NAMES],
          secondChance: words[service + L.SERVICE_KEYS_OFFSET / 4] !== 0,
          slots: words[service + L.SERVICE_SLOTS / 4],
          backendFirst: words[service + L.SERVICE_BACKEND_FIRST / 4],
        });
      }
    }
  }
  return services;
}

/** The backends by number, with the contents of their templates and paths. */
export function imageBackends(image: Image): ImageBackend[] {
  const { bytes, halves, words } = image;
  return Array.from({ length: image.backendCount }, (_, number) => {
    const path = image.pathWord + number * (L.SIZEOF_PATH / 4);
    const template = image.templateWord * 4 + number * L.TEMPLATE_SIZE;
    const flags = bytes[path * 4 + L.PATH_FLAGS];
    const l2Length = bytes[path * 4 + L.PATH_L2_LENGTH];
    const ip = template + l2Length;
    const [from, size] = (flags & L.PATH_OUTER_IPV6) === 0 ? [ip + 12, 4] : [ip + 8, 16];
    return {
      source: addressFromBytes(bytes.slice(from, from + size)),
      address: addressFromBytes(bytes.slice(from + size, from + 2 * size)),
      mtu: halves[path * 2 + L.PATH_MTU / 2],
      flags,
      id: halves[path * 2 + L.PATH_ID / 2],
      interfaceIndex: words[path + L.PATH_INTERFACE_INDEX / 4],
      counter: halves[path * 2 + L.PATH_COUNTER / 2],
      destinationMac: formatMac(bytes.subarray(template, template + 6)),
      sourceMac: formatMac(bytes.subarray(template + 6, template + 12)),
      vlan: l2Length > 14 ? ((bytes[template + 14] << 8) | bytes[template + 15]) & 0xfff : undefined,
    };
  });
}

export function imageCounterNames(image: Image): CounterNames {
  const at = image.words[L.HEADER_NAMES_OFFSET / 4];
  const text = image.bytes.slice(at, at + image.words[L.HEADER_NAMES_BYTES / 4]);
  return JSON.parse(new TextDecoder().decode(text));
}

/** SHA-256 of the image, from its header; it does not cover the generation. */
export function imageDigest(image: Image): string {
  return Buffer.from(image.bytes.subarray(L.HEADER_DIGEST, L.HEADER_DIGEST + 32)).toString('hex');
}

function vipPlaces(image: Image): { address: IpAddress; word: number }[] {
  const places: { address: IpAddress; word: number }[] = [];
  for (let place = 0; place <= image.vipMask; place++) {
    const word = image.vipWord + place * (L.SIZEOF_VIP / 4);
    const family = image.words[word + L.VIP_FAMILY / 4];
    if (family === 0) continue;
    const end = word * 4 + L.VIP_ADDRESS + 16;
    places.push({ address: addressFromBytes(image.bytes.slice(end - (family === 4 ? 4 : 16), end)), word });
  }
  return places;
}
