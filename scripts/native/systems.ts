/**
 * The TCP options that operating systems open connections with, in their order: what a SYN in the wild looks like. `bare` is what
 * scanners and small devices send.
 */
import { concat, type TcpOptions, tcpOption } from '../../test/packets/build.js';

export const SYSTEMS = ['linux', 'windows', 'apple', 'bare'] as const;
export type System = (typeof SYSTEMS)[number];

const { mss, sackPermitted, timestamps, windowScale, nop } = tcpOption;
const MSS = { 4: 1460, 6: 1440 } as const;
const EOL = new Uint8Array(2);

/** @param timestamp in the systems that send one */
export function synOptions(
  system: System,
  family: 4 | 6,
  timestamp: number,
): NonNullable<TcpOptions['options']> {
  const size = mss(MSS[family]);
  switch (system) {
    case 'linux':
      return concat(size, sackPermitted(), timestamps(timestamp, 0), nop(), windowScale(7));
    case 'windows':
      return concat(size, nop(), windowScale(8), nop(2), sackPermitted());
    case 'apple':
      return concat(size, nop(), windowScale(6), nop(2), timestamps(timestamp, 0), sackPermitted(), EOL);
    case 'bare':
      return new Uint8Array(0);
  }
}
