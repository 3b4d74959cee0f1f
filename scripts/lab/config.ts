/** The config that a lab's whole fleet shares; what differs from node to node comes from the command line. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { EngineChoice } from '#anyhop/config/types.js';
import { HTTP_PORTS } from './nginx.js';
import { type LinkAddresses, VIP4, VIP6 } from './topology.js';

/** A pool's member: its name, its underlay address, and whether it runs `anyhop agent` (if not, a kernel tunnel). */
export interface LabBackend {
  readonly name: string;
  readonly address: string;
  readonly agent: boolean;
  readonly id?: number;
}

/** An HTTP service on a VIP. */
export interface LabService {
  readonly name: string;
  readonly vip: string;
  readonly port: number;
  readonly backends: readonly LabBackend[];
  /** Of services that share one, which then have the same backends; a pool of the service's own name when not given. */
  readonly pool?: string;
  readonly secondChance?: 'on' | 'off';
}

/** Guards nothing outside the lab; fixed, so that the same flows meet the same backends in every run. */
export const LAB_KEY = '00112233445566778899aabbccddeeff';

/** Of a forwarder; those that have a socket and a directory have their own. */
export interface LabNode {
  readonly engine: EngineChoice;
  readonly bpffs: string;
  readonly socket?: string;
  readonly state_dir?: string;
}

/** Writes the fleet's config. */
export function writeConfig(
  file: string,
  {
    node,
    forwarders,
    services,
    pool,
    sections,
  }: {
    node: LabNode;
    forwarders: readonly LinkAddresses[];
    services: readonly LabService[];
    /** What every pool has besides its backends: `health`, say. */
    pool?: Readonly<Record<string, unknown>> | undefined;
    /** Whole sections besides these. */
    sections?: Readonly<Record<string, unknown>> | undefined;
  },
): void {
  const config = {
    node: { ...node, key: LAB_KEY },
    agent: {
      bpffs: node.bpffs,
      forwarders: forwarders.flatMap(({ host4, host6 }) => [host4, host6]),
      // The machines of a lab share one file system, and a mark is for one address.
      run_dir: join(dirname(file), 'run'),
    },
    pools: Object.fromEntries(
      services.map(({ name, pool: of = name, backends }) => [of, { ...pool, backends }]),
    ),
    services: services.map(({ name, vip, port, pool: of = name, secondChance }) => ({
      name,
      vip,
      protocol: 'tcp',
      port,
      pool: of,
      second_chance: secondChance,
    })),
    ...sections,
  };
  writeFileSync(file, stringify(config), { mode: 0o600 });
}

/** Changes a config file of the lab. The sections are what `yaml` makes of them. */
// biome-ignore lint/suspicious/noExplicitAny: a config file as it is written, which no type describes
export function changeConfig(file: string, change: (config: any) => void): void {
  const config = parse(readFileSync(file, 'utf8'));
  change(config);
  writeFileSync(file, stringify(config));
}

/**
 * A service for each mix of inner and outer IP version, over all backends: the client's version and the underlay's are the
 * same on the first port and differ on the second.
 */
export function fourMixes(
  backends: readonly (LinkAddresses & { name: string; agent?: boolean })[],
): LabService[] {
  const [samePort, crossedPort] = HTTP_PORTS;
  const over = (version: 4 | 6): LabBackend[] =>
    backends.map(({ name, host4, host6, agent = true }, i) => ({
      name,
      ...(version === 4 ? { address: host4 } : { address: host6, id: i + 1 }), // the IPv6 addresses all end in the same bits
      agent,
    }));
  return [
    { name: 'v4-over-v4', vip: VIP4, port: samePort, backends: over(4) },
    { name: 'v6-over-v6', vip: VIP6, port: samePort, backends: over(6) },
    { name: 'v4-over-v6', vip: VIP4, port: crossedPort, backends: over(6) },
    { name: 'v6-over-v4', vip: VIP6, port: crossedPort, backends: over(4) },
  ];
}
