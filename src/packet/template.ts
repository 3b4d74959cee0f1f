/**
 * The constant part of the outer header for one backend: Ethernet, at most one VLAN tag, outer IP header and GRE. The packet side
 * fills in length, checksum, TOS, key and entropy.
 */
import { L } from '../core/layout.gen.js';
import type { IpAddress } from './address.js';
import type { BackendPath } from './path.js';

const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_GRE = 47;
const OUTER_TTL = 64;
const DONT_FRAGMENT = 0x4000;

/**
 * Writes the template at `start` (TEMPLATE_SIZE zero bytes) and returns the length of its layer-2 header, 14 or 18.
 *
 * @param out and `view` are views of the whole memory: separate views for a thousand templates cost 0.3 ms
 * @throws RangeError without an outer source of the backend's family, or with an MTU below the minimum; the config check refuses
 * both
 */
export function writeTemplate(
  out: Uint8Array,
  view: DataView,
  start: number,
  path: Pick<BackendPath, 'name' | 'address' | 'mtu' | 'sourceMac' | 'destinationMac' | 'vlan'>,
  source4: IpAddress | undefined,
  source6: IpAddress | undefined,
): number {
  const source = path.address.family === 4 ? source4 : source6;
  if (path.mtu < L.PATH_MTU_MIN) {
    throw new RangeError(`${path.name}: an MTU of ${path.mtu} is below ${L.PATH_MTU_MIN}`);
  }
  if (source === undefined)
    throw new RangeError(`${path.name}: no outer source of family ${path.address.family}`);
  out.set(path.destinationMac, start);
  out.set(path.sourceMac, start + 6);
  let at = start + 12;
  if (path.vlan !== undefined) {
    view.setUint16(at, ETHERTYPE_VLAN);
    view.setUint16(at + 2, path.vlan);
    at += 4;
  }
  view.setUint16(at, path.address.family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  const ip = at + 2;
  if (path.address.family === 4) {
    out[ip] = 0x45;
    view.setUint16(ip + 6, DONT_FRAGMENT); // with DF the identification may stay 0 (RFC 6864 section 4.1)
    out[ip + 8] = OUTER_TTL;
    out[ip + 9] = PROTOCOL_GRE;
    out.set(source.bytes, ip + 12);
    out.set(path.address.bytes, ip + 16);
  } else {
    out[ip] = 0x60;
    out[ip + 6] = PROTOCOL_GRE;
    out[ip + 7] = OUTER_TTL;
    out.set(source.bytes, ip + 8);
    out.set(path.address.bytes, ip + 24);
  }
  return ip - start;
}

/** The sum of the ten 16-bit words of an IPv4 header at `ip` (RFC 1071), folded to 16 bits. */
export function outerHeaderSum(view: DataView, ip: number): number {
  let sum = 0;
  for (let at = ip; at < ip + 20; at += 2) sum += view.getUint16(at);
  // Below 2^20, so two folds are enough.
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}
