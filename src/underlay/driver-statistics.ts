/** Counters of the driver: packets that it could not send for an XDP program, or that never reached the program. NaN: no such counter. */
import { AnyhopError } from '../core/errors.js';
import { readInterfaceCounters } from '../ffi/interface-counters.js';

export interface DriverStatistics {
  /** Of what the program gave to XDP_TX. */
  readonly sendFailed: number;
  /** Without room at the interface, whoever they were for. */
  readonly missed: number;
}

/** As `ethtool -S` names them: veth `rx_queue_0_xdp_tx_errors`, virtio_net `tx0_xdp_tx_drops`, mlx5 `rx_xdp_tx_full` and `rx_xdp_tx_err`. */
const SEND_FAILURE = /^\w*xdp_tx_(?:errors?|err|drops|full): (\d+)$/gm;
const SEND_FAILURE_PART = 'xdp_tx_';
const MISSED = /^missed: (\d+)$/m;

/** Takes some 20 us. */
export function readStatistics(
  interfaceName: string,
  read: (name: string, part: string) => string = readInterfaceCounters,
): DriverStatistics {
  const text = orNothing(() => read(interfaceName, SEND_FAILURE_PART));
  const failures = [...text.matchAll(SEND_FAILURE)].map(([, count]) => Number(count));
  return {
    sendFailed: failures.length > 0 ? failures.reduce((sum, count) => sum + count) : Number.NaN,
    missed: Number(MISSED.exec(text)?.[1] ?? Number.NaN),
  };
}

/** The increase; a driver that was reset counts from zero. */
export function lessBaseline(
  now: DriverStatistics,
  baseline: DriverStatistics,
  field: keyof DriverStatistics,
): number {
  return Math.max(0, now[field] - baseline[field]);
}

function orNothing(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (error instanceof AnyhopError) return '';
    throw error;
  }
}
