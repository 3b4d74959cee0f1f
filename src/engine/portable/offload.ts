/**
 * Offloads that do not go with libpcap, and are switched off on the interface.
 *
 *  - GRO and LRO merge received packets: libpcap would see ones longer than the MTU, which no backend can be sent.
 *  - While GSO or TSO is on, libpcap expects packets of 64 KiB and cuts its ring into as many pieces: 128 packets in 8
 *    MiB instead of 4000. Of bursts of 8000 small packets on a veth link that lost 46 %, and none without them.
 */
import { AnyhopError } from '../../core/errors.js';
import { type RunTool, requireTool } from '../../core/tool.js';

/** ethtool's long name, by which it lists a feature, and the name by which it is switched. */
const MERGING: Readonly<Record<string, string>> = {
  'generic-receive-offload': 'gro',
  'large-receive-offload': 'lro',
  'rx-gro-hw': 'rx-gro-hw',
};
/** One by one: `tso` would switch on again what had been off before. */
const SEGMENTING: Readonly<Record<string, string>> = {
  'generic-segmentation-offload': 'gso',
  'tx-tcp-segmentation': 'tx-tcp-segmentation',
  'tx-tcp-ecn-segmentation': 'tx-tcp-ecn-segmentation',
  'tx-tcp-mangleid-segmentation': 'tx-tcp-mangleid-segmentation',
  'tx-tcp6-segmentation': 'tx-tcp6-segmentation',
};
const NAMES: Readonly<Record<string, string>> = { ...MERGING, ...SEGMENTING };
const SWITCHES = new Set(Object.values(NAMES));

/**
 * Those that are on and can be switched off, by the names that `ethtool -K` takes.
 * @throws AnyhopError ERR_INTERFACE when one that merges packets is on and cannot be switched off
 */
export async function unfitOffloads(link: string, run: RunTool): Promise<string[]> {
  const on: string[] = [];
  for (const line of (await requireTool(run, 'ethtool', ['-k', link])).split('\n')) {
    const [, name = '', state, rest] = /^\s*([a-z0-9-]+): (on|off)(.*)$/.exec(line) ?? [];
    const feature = NAMES[name];
    if (feature === undefined || state !== 'on') continue;
    if (!rest?.includes('[fixed]')) on.push(feature);
    else if (name in MERGING) {
      throw new AnyhopError(
        'ERR_INTERFACE',
        `${name} of interface ${link} is on and cannot be switched off`,
        { hint: 'It merges packets into longer ones than can be forwarded: use another interface.' },
      );
    }
  }
  return on;
}

export async function switchOffloads(
  link: string,
  features: readonly string[],
  to: 'on' | 'off',
  run: RunTool,
): Promise<void> {
  if (features.length === 0) return;
  await requireTool(run, 'ethtool', ['-K', link, ...features.flatMap((feature) => [feature, to])]);
}

export function isOffload(name: string): boolean {
  return SWITCHES.has(name);
}
