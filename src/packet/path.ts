/** The path to one backend: the entry of the image that is made from its next hop. */
import type { IpAddress } from './address.js';

export interface Path {
  /** At layer 3, in bytes: PATH_MTU_MIN to 65535. */
  readonly mtu: number;
  /** 0: the interface that received the packet. */
  readonly interfaceIndex: number;
  /** Six bytes each. */
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
  /** VLAN identifier 1 to 4094 of the next hop, if it is tagged. */
  readonly vlan: number | undefined;
}

/** A path in the image, with the backend it leads to. */
export interface BackendPath extends Path {
  /** False without a next hop: packets for it are dropped. */
  readonly isReachable: boolean;
  /** Stable name, for counters: `pool/backend`. */
  readonly name: string;
  readonly address: IpAddress;
  readonly agent: boolean;
  /** Whether its agent takes up connections that began with a SYN cookie of this node; absent: it does not. */
  readonly cookies?: boolean;
  /** Names it in GRE keys (second-chance-key.ts); 0: none. */
  readonly id: number;
  /** Number of its counters (numbers.ts). */
  readonly counter: number;
}
