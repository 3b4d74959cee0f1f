/**
 * What only the driver knows: packets that it could not send for the program, and packets that never got as far as the
 * program. NaN where a driver does not tell.
 */
import { type RunTool, runTool } from '../../core/tool.js';

export interface DriverStatistics {
  /** Of what the program gave to XDP_TX. */
  readonly sendFailed: number;
  /** That the interface had no room for, whoever they were for. */
  readonly missed: number;
}

/** By `ethtool -S`: veth `rx_queue_0_xdp_tx_errors`, virtio_net `tx0_xdp_tx_drops`, mlx5 `rx_xdp_tx_full` and `rx_xdp_tx_err`. */
const SEND_FAILURE = /^\s*\w*xdp_tx_(?:errors?|err|drops|full):\s*(\d+)$/gm;

interface IpStatistics {
  stats64?: { rx?: { missed_errors?: number } };
}

export async function readStatistics(
  interfaceName: string,
  run: RunTool = runTool,
): Promise<DriverStatistics> {
  const [driver, link] = await Promise.all([
    output(run, 'ethtool', ['-S', interfaceName]),
    output(run, 'ip', ['-s', '-s', '-json', 'link', 'show', 'dev', interfaceName]),
  ]);
  const failures = [...driver.matchAll(SEND_FAILURE)].map(([, count]) => Number(count));
  const [statistics]: IpStatistics[] = link === '' ? [] : JSON.parse(link);
  return {
    sendFailed: failures.length > 0 ? failures.reduce((sum, count) => sum + count) : Number.NaN,
    missed: statistics?.stats64?.rx?.missed_errors ?? Number.NaN,
  };
}

/** Nothing when the tool is not there, or the driver has no such thing. */
async function output(run: RunTool, program: string, args: readonly string[]): Promise<string> {
  try {
    const { code, stdout } = await run(program, args);
    return code === 0 ? stdout : '';
  } catch {
    return '';
  }
}
