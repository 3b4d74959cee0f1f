/** The agent's XDP program in the kernel, with its maps filled; attached to nothing yet. */
import { AGENT_VERDICTS } from '../core/layout.gen.js';
import { BpfObject } from '../ffi/bpf.js';
import type { AgentTables } from './tables.js';

/** The program's name in its object file, and in the kernel, where it tells whose a program is. */
export const AGENT_PROGRAM = 'anyhop_agent';

/**
 * Loads the program. Close it when done.
 * @throws AnyhopError ERR_NATIVE when it was not built, ERR_BPF when the kernel refuses it
 */
export function loadAgentProgram(tables: AgentTables): BpfObject {
  const program = new BpfObject('agent', {
    entries: {
      sources: Math.max(1, tables.sources.length),
      locals: Math.max(1, tables.locals.length),
      vips: Math.max(1, tables.vips.length),
      ports: tables.ports.length + 1,
    },
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
