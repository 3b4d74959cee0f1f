/**
 * An image as the packet side sees it: typed arrays over one flat memory, and two searches. The layout is
 * native/include/anyhop/image.h; src/image/build.ts fills it.
 *
 * Reads use one Int32Array and one Uint16Array (1 ns each) instead of a DataView (2 ns), and header fields are copied into plain
 * fields once per image. Every int32 is a V8 small integer on 64-bit machines, so nothing here allocates.
 */
import { L } from '../core/layout.gen.js';

const VIP_WORDS = L.SIZEOF_VIP / 4;
const VIP_FAMILY_WORD = L.VIP_FAMILY / 4;
const SERVICE_WORDS = L.SIZEOF_SERVICE / 4;
const PORT_WORD = L.SERVICE_PORT_FIRST / 4; // the upper half is the last port

export class Image {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly generation: number;
  readonly vipMask: number;
  readonly serviceCounters: number;
  readonly backendCounters: number;
  readonly backendCount: number;
  /** Indexes of the first VIP, template and path in `words`. */
  readonly vipWord: number;
  readonly templateWord: number;
  readonly pathWord: number;
  readonly serviceWord: number;
  /** Index of the first service's former key in `words`; 0: no key changes. */
  readonly formerWord: number;
  readonly checkMac: boolean;
  /** The interface's MAC address: the first four bytes raw, the last two big-endian. */
  readonly macHead: number;
  readonly macTail: number;
  /** The host's other MAC addresses in the same form, one after another. */
  readonly otherMacs: Int32Array;
  readonly source4Hosts: number;
  /** Index of the key of SYN cookies in `words`; 0: there is none. */
  readonly cookieKeyWord: number;
  /** Index of the rules of defence in `words`; 0: no service has any. */
  readonly rulesWord: number;

  /**
   * @param buffer a whole image, read in place; it must not change any more
   * @throws RangeError when it is not an image of this version
   */
  constructor(buffer: ArrayBufferLike) {
    const view = new DataView(buffer);
    const header = (offset: number): number => view.getUint32(offset, true);
    if (
      buffer.byteLength < L.SIZEOF_HEADER ||
      header(L.HEADER_MAGIC) !== L.IMAGE_MAGIC ||
      header(L.HEADER_VERSION) !== L.IMAGE_VERSION ||
      header(L.HEADER_FLOW_HASH_VERSION) !== L.FLOW_HASH_VERSION ||
      header(L.HEADER_SIZE) !== buffer.byteLength
    ) {
      throw new RangeError('not a forwarding image of this version');
    }
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.generation = header(L.HEADER_GENERATION);
    this.vipMask = header(L.HEADER_VIP_MASK);
    this.serviceCounters = header(L.HEADER_SERVICE_COUNTERS);
    this.backendCounters = header(L.HEADER_BACKEND_COUNTERS);
    this.backendCount = header(L.HEADER_BACKEND_COUNT);
    this.vipWord = header(L.HEADER_VIP_OFFSET) / 4;
    this.templateWord = header(L.HEADER_TEMPLATE_OFFSET) / 4;
    this.pathWord = header(L.HEADER_PATH_OFFSET) / 4;
    this.serviceWord = header(L.HEADER_SERVICE_OFFSET) / 4;
    this.formerWord = header(L.HEADER_FORMER_OFFSET) / 4;
    this.checkMac = (header(L.HEADER_FLAGS) & L.IMAGE_CHECK_MAC) !== 0;
    this.macHead = view.getInt32(L.HEADER_MAC, true);
    this.macTail = view.getUint16(L.HEADER_MAC + 4);
    const others = Math.min(header(L.HEADER_OTHER_MAC_COUNT), L.OTHER_MACS_MAX);
    this.otherMacs = new Int32Array(others * 2);
    for (let i = 0; i < others; i++) {
      this.otherMacs[i * 2] = view.getInt32(L.HEADER_OTHER_MACS + i * 8, true);
      this.otherMacs[i * 2 + 1] = view.getUint16(L.HEADER_OTHER_MACS + i * 8 + 4);
    }
    this.source4Hosts = header(L.HEADER_SOURCE4_HOSTS) | 0;
    this.cookieKeyWord = header(L.HEADER_COOKIE_OFFSET) / 4;
    this.rulesWord = header(L.HEADER_RULES_OFFSET) / 4;
  }

  /** Index of an IPv4 VIP in `words`, or -1. The address is a raw word. */
  findVip4(address: number): number {
    const words = this.words;
    let at = mix(address); // vipHash(0, 0, 0, address)
    for (let probe = 0; probe < L.VIP_PROBES_MAX; probe++, at++) {
      const vip = this.vipWord + (at & this.vipMask) * VIP_WORDS;
      const found = words[vip + VIP_FAMILY_WORD]; // the three bytes after the family are zero
      if (found === 0) return -1;
      if (words[vip + 3] === address && found === 4) return vip;
    }
    return -1;
  }

  /** Index of an IPv6 VIP in `words`, or -1. The address is four raw words. */
  findVip6(a0: number, a1: number, a2: number, a3: number): number {
    const words = this.words;
    let at = vipHash(a0, a1, a2, a3);
    for (let probe = 0; probe < L.VIP_PROBES_MAX; probe++, at++) {
      const vip = this.vipWord + (at & this.vipMask) * VIP_WORDS;
      const found = words[vip + VIP_FAMILY_WORD];
      if (found === 0) return -1;
      if (
        found === 6 &&
        words[vip + 3] === a3 &&
        words[vip + 2] === a2 &&
        words[vip + 1] === a1 &&
        words[vip] === a0
      ) {
        return vip;
      }
    }
    return -1;
  }

  /**
   * Index of the service with this port in `words`, or -1.
   *
   * @param first number of the VIP's first service of the protocol
   * @param count of these services, which are sorted by port and do not overlap
   */
  findService(first: number, count: number, port: number): number {
    const words = this.words;
    let low = this.service(first);
    // Binary search for the last service whose first port is not above `port`.
    for (let left = count; left > 1; ) {
      const step = left >> 1;
      const middle = low + step * SERVICE_WORDS;
      if ((words[middle + PORT_WORD] & 0xffff) <= port) low = middle;
      left -= step;
    }
    if (count === 0) return -1;
    const ports = words[low + PORT_WORD];
    return port >= (ports & 0xffff) && port <= ports >>> 16 ? low : -1;
  }

  /** For a frame with a packet for a VIP. @returns a verdict when the frame is not only for this host, or -1 */
  judgeMac(view: DataView, frame: number): number {
    const head = view.getInt32(frame, true);
    const tail = view.getUint16(frame + 4);
    return head === this.macHead && tail === this.macTail ? -1 : this.#judgeOtherMac(head, tail);
  }

  /** An image without the interface's MAC address accepts any single machine's. */
  #judgeOtherMac(head: number, tail: number): number {
    if ((head & 1) !== 0) return L.V_DROP_GROUP_MAC;
    if (!this.checkMac) return -1;
    const others = this.otherMacs;
    for (let i = 0; i < others.length; i += 2) if (others[i] === head && others[i + 1] === tail) return -1;
    return L.V_PASS_OTHER_HOST;
  }

  /** Index of a service in `words`, by its number. */
  service(index: number): number {
    return this.serviceWord + index * SERVICE_WORDS;
  }
}

/** anyhop_vip_hash of native/include/anyhop/image.h. */
export function vipHash(a0: number, a1: number, a2: number, a3: number): number {
  return mix(fold(fold(fold(a0) ^ a1) ^ a2) ^ a3);
}

function fold(h: number): number {
  h = Math.imul(h, 0x9e3779b1);
  return (h << 15) | (h >>> 17);
}

/** MurmurHash3's finalizer. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
