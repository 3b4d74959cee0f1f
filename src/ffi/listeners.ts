/** The listening sockets of this host that speak MPTCP (native/lib/listeners.c). */
import { anyhopLibrary } from './library.js';

export interface Listener {
  /** 4 or 16 bytes in network order; all zero for every address of the host. */
  readonly address: Uint8Array;
  readonly port: number;
}

const LISTENER_BYTES = 20;
const PORT_AT = 16;
const FAMILY_AT = 18;
/** More than a host has; what is beyond is not told. */
const LISTENERS_MAX = 4096;

/** Looks at the network namespace of this process. @throws AnyhopError ERR_BPF when the kernel cannot be asked */
export function mptcpListeners(): Listener[] {
  const out = Buffer.alloc(LISTENER_BYTES * LISTENERS_MAX);
  const count = anyhopLibrary.call('ERR_BPF', 'anyhop_mptcp_listeners', out, LISTENERS_MAX);
  return Array.from({ length: count }, (_, i) => {
    const one = out.subarray(i * LISTENER_BYTES, (i + 1) * LISTENER_BYTES);
    return {
      address: Uint8Array.from(one.subarray(0, one[FAMILY_AT] === 4 ? 4 : 16)),
      port: one.readUInt16BE(PORT_AT),
    };
  });
}
