/**
 * The key of a service's flow hash, ten words derived from the fleet's secret by HKDF-SHA256 (RFC 5869; no salt). The info text
 * names the use, its version, the kind of hash and whatever is constant for the flows:
 *
 *   anyhop flow-hash v2 5-tuple tcp 203.0.113.10
 *   anyhop flow-hash v2 3-tuple udp 2001:db8::10
 *   anyhop flow-hash v2 source
 *
 * `source` names neither VIP nor protocol: a client keeps its backend across all services of a pool (HTTP/3 on UDP
 * beside HTTPS on TCP, IPv4 VIPs side by side).
 */
import { hkdfSync } from 'node:crypto';
import type { HashMode, Protocol } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';

/** L.FLOW_KEY_WORDS little-endian words. */
export type FlowKey = Int32Array;

export function deriveFlowKey(
  secret: Uint8Array,
  mode: HashMode,
  protocol: Protocol,
  vip: IpAddress,
): FlowKey {
  return flowKeyFor(secret, mode === 'source' ? mode : `${mode} ${protocol} ${vip.text}`);
}

/** The key for whatever `use` names. */
export function flowKeyFor(secret: Uint8Array, use: string): FlowKey {
  const info = `anyhop flow-hash v${L.FLOW_HASH_VERSION} ${use}`;
  return new Int32Array(hkdfSync('sha256', secret, new Uint8Array(0), info, L.FLOW_KEY_WORDS * 4));
}
