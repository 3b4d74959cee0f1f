/** The section `announce` as the program uses it. */
import type { IpAddress, IpPrefix } from '../../packet/address.js';
import type { ValuesOf } from '../draft.js';
import type { Endpoint } from '../endpoint.js';
import type { MetricsConfig } from '../metrics/types.js';
import type { Secret } from '../secret.js';
import type { announce } from './schema.js';

export interface AnnounceConfig
  extends Omit<
    ValuesOf<typeof announce>,
    'vips' | 'socket' | 'certificate' | 'caFile' | 'regions' | 'regionReload' | 'metrics'
  > {
  /** Those that are announced, each once, in the order of the services. */
  readonly vips: readonly IpAddress[];
  readonly regions: readonly RegionConfig[];
  /** Of this node, for roles that know its name; undefined when it is in none. */
  readonly region: OwnRegion | undefined;
  /** Program and arguments; empty for none. */
  readonly regionReload: readonly string[];
  /** Only for roles that speak TLS. */
  readonly tls: RegionTls | undefined;
  /** Only for the role announce. */
  readonly metrics: MetricsConfig | undefined;
}

export interface RegionConfig {
  readonly name: string;
  readonly nodes: readonly RegionNode[];
  readonly vips: readonly RegionVip[];
  /** Clients that get this region first. */
  readonly nets: readonly IpPrefix[];
}

export interface RegionNode {
  /** Its certificate is for this DNS name. */
  readonly name: string;
  readonly address: Endpoint;
  readonly weight: number;
}

export interface RegionVip {
  /** Below the zone; `@` is the zone itself. */
  readonly host: string;
  readonly vip: IpAddress;
}

export interface OwnRegion {
  readonly name: string;
  /** Of this node. */
  readonly weight: number;
}

/** What a host shows, and whom it believes. */
export interface RegionTls {
  /** Certificate, chain and private key in PEM. */
  readonly certificate: Secret;
  /** Certificates in PEM. */
  readonly authorities: Secret;
}

/** How the processes of one node find each other. */
export interface AnnouncePlace {
  /** Name of the node. */
  readonly node: string;
  /** Control socket of `anyhop run`. */
  readonly nodeSocket: string;
  /** Control socket of `anyhop announce`. */
  readonly socket: string;
  /** The IPv4 entry of node.source, if there is one. */
  readonly source4: IpPrefix | undefined;
  readonly source6: IpPrefix | undefined;
  readonly interface: string | undefined;
  /** node.local_vips. */
  readonly localVips: boolean;
}
