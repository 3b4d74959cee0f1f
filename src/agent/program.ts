/** The agent's XDP program in the kernel, with its maps filled; attached to nothing yet. */
import { AGENT_VERDICTS, L } from '../core/layout.gen.js';
import { BpfObject } from '../ffi/bpf.js';
import type { Descriptor } from '../ffi/descriptor.js';
import { bpfObjectPath } from '../ffi/library.js';
import { COOKIE_KEY_SIZE } from '../hash/cookie-key.js';
import type { PeerRows } from './peers.js';
import type { AgentTables } from './tables.js';

/** The program's name in its object file, and in the kernel, where it shows whose program it is. */
export const AGENT_PROGRAM = 'anyhop_agent';

/** How much second chance may send on. */
export interface AgentRate {
  /** What a packet that is sent on costs, in nanoseconds of time passed; and how much of it can be saved up, on each CPU. */
  readonly costNs: number;
  readonly burstNs: number;
}

/** Maps that one program hands to the next: what was counted, what second chance may still send on, and how packets are captured. */
export const KEPT_MAPS = ['counters', 'budget', '.data.capture', 'captured'] as const;
export type KeptMaps = Readonly<Partial<Record<(typeof KEPT_MAPS)[number], Descriptor>>>;

export interface AgentProgramOptions {
  /** Of second chance; the program's own when not given. */
  readonly rate?: AgentRate;
  /** Of the program before; those of another shape are made new. */
  readonly kept?: KeptMaps;
  /** Undefined: the program knows no SYN cookies of the fleet, and costs nothing for them. */
  readonly cookies?: CookieOptions | undefined;
}

/** With what a program takes SYN cookies of the fleet. */
export interface CookieOptions {
  /** COOKIE_KEY_SIZE bytes each: the one in force, and maybe the former one. */
  readonly keys: readonly Uint8Array[];
  /** Maps of the program at tc ingress: the fleet's clock, and what became of packets. */
  readonly clock: Descriptor;
  readonly cookies: Descriptor;
}

/**
 * Loads the program, which takes no VIP for this host's own yet (`LocalVips`). Close it when done.
 * @param peers the backends that a key may name; none of them has a path yet
 * @throws AnyhopError ERR_NATIVE when it was not built, ERR_BPF when the kernel refuses it
 */
export function loadAgentProgram(
  tables: AgentTables,
  peers: PeerRows,
  { rate, kept = {}, cookies }: AgentProgramOptions = {},
): BpfObject {
  const keys = peers.keys();
  const program = new BpfObject(bpfObjectPath(cookies === undefined ? 'agent' : 'agent-cookies'), {
    entries: {
      sources: Math.max(1, tables.sources.length),
      locals: Math.max(1, tables.locals.length),
      vips: Math.max(1, tables.vips.length),
      here: Math.max(1, tables.vips.length),
      ports: tables.ports.length + 1,
      keys: Math.max(1, keys.length),
      peers: Math.max(1, peers.addresses.length),
    },
    reuse: { ...kept, ...(cookies !== undefined && { clock: cookies.clock, cookies: cookies.cookies }) },
    constants: {
      ...(rate !== undefined && { '.rodata.rate': rateBytes(rate) }),
      ...(cookies !== undefined && { '.rodata.keys': keyBytes(cookies.keys) }),
    },
  });
  try {
    for (const map of ['sources', 'locals', 'vips', 'ports'] as const) program.fill(map, tables[map]);
    program.fill('ids', peers.ids());
    program.fill('keys', keys);
    return program;
  } catch (error) {
    program.close();
    throw error;
  }
}

/** Descriptors of them, to be closed. */
export function keptMapsOf(program: BpfObject): Required<KeptMaps> {
  return Object.fromEntries(KEPT_MAPS.map((map) => [map, program.map(map)])) as unknown as Required<KeptMaps>;
}

/** Packets so far, by verdict. */
export function readVerdicts(program: BpfObject): Record<string, number> {
  const sums = program.sums('counters', AGENT_VERDICTS.length);
  return Object.fromEntries(AGENT_VERDICTS.map(({ name }, i) => [name, sums[i]]));
}

function keyBytes(keys: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.alloc(L.SIZEOF_AGENT_COOKIE_KEYS);
  for (const [i, key] of keys.entries()) bytes.set(key, L.AGENT_COOKIE_KEYS_WORDS + i * COOKIE_KEY_SIZE);
  bytes.writeUInt32LE(keys.length, L.AGENT_COOKIE_KEYS_COUNT);
  return bytes;
}

function rateBytes({ costNs, burstNs }: AgentRate): Buffer {
  const bytes = Buffer.alloc(L.SIZEOF_AGENT_RATE);
  bytes.writeBigUInt64LE(BigInt(costNs), L.AGENT_RATE_COST_NS);
  bytes.writeBigUInt64LE(BigInt(burstNs), L.AGENT_RATE_BURST_NS);
  return bytes;
}
