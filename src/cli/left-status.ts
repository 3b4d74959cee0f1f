/**
 * The status of forwarding that goes on in the kernel without a process that answers: what the pins of the engine `xdp` and the events
 * on disk say. It reads alone, and changes nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Traffic, VerdictStatus } from '../api/status.js';
import { ConfigError } from '../config/error.js';
import { loadConfig } from '../config/load.js';
import { known } from '../core/known.js';
import { BPFFS_DEFAULT } from '../core/limits.js';
import { lookAtPins, type PinnedForwarding } from '../engine/xdp/look.js';
import type { NodeEvent } from '../events/event.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import {
  type ImageBackend,
  type ImageService,
  imageBackends,
  imageCounterNames,
  imageDigest,
  imageServices,
} from '../image/inspect.js';
import { Rates } from '../node/rates.js';
import { holderOf } from '../underlay/lock.js';
import { keptEvents } from './events-source.js';

/** Rates are over this long. */
const RATES_MS = 1_000;

export interface LeftService extends Traffic, Omit<ImageService, 'vip' | 'counter' | 'backendFirst'> {
  readonly name: string;
  readonly vip: string;
  readonly pool: string;
}

export interface LeftBackend extends Traffic {
  readonly pool: string;
  readonly name: string;
  readonly address: string;
  readonly id: number;
  readonly mtu: number;
  readonly mac: string;
  readonly vlan?: number;
  /** Of the interface that its packets leave by. */
  readonly interfaceIndex: number;
}

export interface LeftStatus {
  /** None answers: null. Or one is in charge of the interface all the same; its number is null when this user may not know it. */
  readonly process: null | { readonly pid: number | null };
  readonly interface: string;
  /** Of its pins. */
  readonly pins: string;
  /** What the node of this name kept last; absent when it is unclear whose events belong to it. */
  readonly last?: NodeEvent & { readonly node: string };
  readonly engine: {
    readonly name: 'xdp';
    readonly mode: string;
    readonly programId: number;
    readonly version: string;
  };
  /** Absent when another version of anyhop wrote it. */
  readonly image?: { readonly generation: number; readonly digest: string; readonly bytes: number };
  readonly services: readonly LeftService[];
  readonly backends: readonly LeftBackend[];
  /** Those that happened, by name. */
  readonly verdicts: Readonly<Record<string, VerdictStatus>>;
}

/**
 * Of all interfaces of this network namespace that the engine `xdp` forwards on; takes a second, for the rates.
 * @param bpffs where it is pinned; that of ANYHOP_CONFIG, or the usual one, when left out
 * @throws AnyhopError ERR_BPF when this user may not look
 */
export async function leftStatus(bpffs?: string): Promise<LeftStatus[]> {
  const found = await lookAtPins(bpffs ?? configuredBpffs());
  if (found.length === 0) return [];
  try {
    const rates = found.map((one) => new Rates(() => one.counters()));
    await delay(RATES_MS);
    const last = keptEvents()?.last;
    return await Promise.all(
      found.map(async (one, i) => {
        rates[i].close();
        const pid = await holderOf('run', one.link.index);
        const holder = pid === undefined ? null : { pid: known(pid) };
        return {
          process: holder,
          ...(holder === null && last && found.length === 1 && { last }),
          ...describe(one, rates[i]),
        };
      }),
    );
  } finally {
    for (const one of found) one.close();
  }
}

function configuredBpffs(): string {
  const file = process.env['ANYHOP_CONFIG'];
  if (!file) return BPFFS_DEFAULT;
  try {
    return loadConfig(file, { role: 'flow' }).node.bpffs;
  } catch (error) {
    if (error instanceof ConfigError) return BPFFS_DEFAULT;
    throw error;
  }
}

function describe(
  { link, directory, mode, programId, version, image, verdicts }: PinnedForwarding,
  rates: Rates,
): Omit<LeftStatus, 'process' | 'last'> {
  const { sample, rate } = rates.now();
  const traffic = (kind: 'services' | 'backends', number: number): Traffic => {
    const at = number * COUNTERS_PER_ENTRY;
    return {
      packets: sample[kind][at] ?? 0,
      bytes: sample[kind][at + 1] ?? 0,
      packetsPerSecond: rate(kind, at),
      bytesPerSecond: rate(kind, at + 1),
    };
  };
  const names = image === undefined ? { services: [], backends: [] } : imageCounterNames(image);
  const backends = image === undefined ? [] : imageBackends(image);
  const poolOf = (backend: ImageBackend | undefined): string =>
    (names.backends[backend?.counter ?? -1] ?? '').split('/')[0];
  return {
    interface: link.name,
    pins: directory,
    engine: { name: 'xdp', mode: `${mode} XDP`, programId, version },
    ...(image && {
      image: { generation: image.generation, digest: imageDigest(image), bytes: image.bytes.length },
    }),
    services: (image === undefined ? [] : imageServices(image))
      .map(({ counter, vip, backendFirst, ...service }) => ({
        name: names.services[counter] ?? '',
        vip: vip.text,
        pool: poolOf(backends[backendFirst]),
        ...service,
        ...traffic('services', counter),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    backends: backends.map((backend) => {
      const { address, id, mtu, destinationMac: mac, vlan, interfaceIndex, counter } = backend;
      const pool = poolOf(backend);
      return {
        pool,
        name: (names.backends[counter] ?? '').slice(pool.length + 1),
        address: address.text,
        id,
        mtu,
        mac,
        ...(vlan !== undefined && { vlan }),
        interfaceIndex: interfaceIndex || link.index, // 0: out of where it came in
        ...traffic('backends', counter),
      };
    }),
    verdicts: Object.fromEntries(
      verdicts.flatMap((name, number): [string, VerdictStatus][] => {
        const packets = sample.verdicts[number] ?? 0;
        return packets === 0 ? [] : [[name, { packets, packetsPerSecond: rate('verdicts', number) }]];
      }),
    ),
  };
}
