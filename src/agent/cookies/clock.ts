/** The fleet's clock, by which SYN cookies age: CLOCK_REALTIME since a day that all have in their code. */
import { L } from '../../core/layout.gen.js';

const START_NS = BigInt(L.FLEET_CLOCK_START) * 1_000_000_000n;

/** What the monotonic clock lacks to it now, in ns. @returns struct anyhop_agent_clock */
export function clockBytes(): Buffer {
  const bytes = Buffer.alloc(L.SIZEOF_AGENT_CLOCK);
  const offset = BigInt(Date.now()) * 1_000_000n - START_NS - process.hrtime.bigint();
  bytes.writeBigUInt64LE(BigInt.asUintN(64, offset), L.AGENT_CLOCK_OFFSET_NS);
  return bytes;
}
