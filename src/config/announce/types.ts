/** The section `announce` as the program uses it. */
import type { IpAddress } from '../../packet/address.js';
import type { ValuesOf } from '../draft.js';
import type { announce } from './schema.js';

export interface AnnounceConfig extends Omit<ValuesOf<typeof announce>, 'vips' | 'socket'> {
  /** Those that are announced, each once, in the order of the services. */
  readonly vips: readonly IpAddress[];
}

/** How the processes of one node find each other. */
export interface AnnouncePlace {
  /** Name of the node. */
  readonly node: string;
  /** Control socket of `anyhop run`. */
  readonly nodeSocket: string;
  /** Control socket of `anyhop announce`. */
  readonly socket: string;
}
