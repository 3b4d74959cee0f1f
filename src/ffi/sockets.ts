/** The kernel's TCP connections, counted by local address and port (native/lib/sockets.c). */
import { anyhopLibrary } from './library.js';

export interface PortsOfAddress {
  /** 16 bytes in network order; an IPv4 address mapped, `::ffff:a.b.c.d`. */
  readonly address: Uint8Array;
  /** Both included. */
  readonly portFirst: number;
  readonly portLast: number;
}

const RANGE_BYTES = 20;
const ADDRESS_BYTES = 16;

/**
 * Counts the connections of each range; ranges of one address must not overlap. Takes 0.2 to 0.8 us for each connection of the host, in
 * this thread. Looks at the network namespace of this process.
 * @throws AnyhopError ERR_BPF when the kernel cannot be asked
 */
export function countTcpConnections(ranges: readonly PortsOfAddress[]): number[] {
  if (ranges.length === 0) return [];
  const keys = ranges.map(rangeBytes);
  const order = keys.map((_, i) => i).sort((a, b) => Buffer.compare(keys[a], keys[b]));
  const out = Buffer.alloc(4 * ranges.length);
  const sorted = Buffer.concat(order.map((i) => keys[i]));
  anyhopLibrary.call('ERR_BPF', 'anyhop_tcp_count', sorted, ranges.length, out);
  const counts = new Array<number>(ranges.length);
  for (const [place, i] of order.entries()) counts[i] = out.readUInt32LE(4 * place);
  return counts;
}

function rangeBytes({ address, portFirst, portLast }: PortsOfAddress): Buffer {
  const bytes = Buffer.alloc(RANGE_BYTES);
  bytes.set(address);
  bytes.writeUInt16BE(portFirst, ADDRESS_BYTES);
  bytes.writeUInt16BE(portLast, ADDRESS_BYTES + 2);
  return bytes;
}
