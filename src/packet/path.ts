/** The way to one backend, as the image needs it. */
import type { IpAddress } from './address.js';

/** How packets reach a backend. */
export interface BackendPath {
  /** False when no way to it is known: what would go there is dropped. The other fields of the way mean nothing then. */
  readonly isReachable: boolean;
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
