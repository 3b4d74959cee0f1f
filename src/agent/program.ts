/** The agent's XDP program in the kernel, with its maps filled; attached to nothing yet. */
import { AGENT_VERDICTS, L } from '../core/layout.gen.js';
import { BpfObject } from '../ffi/bpf.js';
import type { AgentTables } from './tables.js';

/** The program's name in its object file, and in the kernel, where it tells whose a program is. */
export const AGENT_PROGRAM = 'anyhop_agent';

/** How much second chance may send on. */
export interface AgentRate {
  /** What a packet that is sent on costs, in nanoseconds of time passed; and how much of it can be saved up, on each CPU. */
  readonly costNs: number;
  readonly burstNs: number;
}

/**
 * Loads the program. Close it when done.
 * @param peers how many entries its map `peers` can hold
 * @param rate of second chance; the program's own when not given
 * @throws AnyhopError ERR_NATIVE when it was not built, ERR_BPF when the kernel refuses it
 */
export function loadAgentProgram(tables: AgentTables, peers: number, rate?: AgentRate): BpfObject {
  const program = new BpfObject('agent', {
    entries: {
      sources: Math.max(1, tables.sources.length),
      locals: Math.max(1, tables.locals.length),
      vips: Math.max(1, tables.vips.length),
      ports: tables.ports.length + 1,
      peers: Math.max(1, peers),
    },
    ...(rate !== undefined && { constants: { '.rodata.rate': rateBytes(rate) } }),
  });
  try {
    for (const map of ['sources', 'locals', 'vips', 'ports'] as const) program.fill(map, tables[map]);
    return program;
  } catch (error) {
    program.close();
    throw error;
  }
}

/** Packets so far, by verdict. */
export function readVerdicts(program: BpfObject): Record<string, number> {
  const sums = program.sums('counters', AGENT_VERDICTS.length);
  return Object.fromEntries(AGENT_VERDICTS.map(({ name }, i) => [name, sums[i]]));
}

function rateBytes({ costNs, burstNs }: AgentRate): Buffer {
  const bytes = Buffer.alloc(L.SIZEOF_AGENT_RATE);
  bytes.writeBigUInt64LE(BigInt(costNs), L.AGENT_RATE_COST_NS);
  bytes.writeBigUInt64LE(BigInt(burstNs), L.AGENT_RATE_BURST_NS);
  return bytes;
}
