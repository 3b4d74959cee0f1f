/**
 * Receive offloads that merge packets (GRO, LRO) must be off: libpcap would see merged packets longer than the MTU,
 * which no backend can be sent.
 */
import { AnyhopError } from '../../core/errors.js';
import { type RunTool, requireTool } from '../../core/tool.js';

/** ethtool's long name, by which it lists a feature, and the name by which it is switched. */
const MERGING: Readonly<Record<string, string>> = {
  'generic-receive-offload': 'gro',
  'large-receive-offload': 'lro',
  'rx-gro-hw': 'rx-gro-hw',
};
const SWITCHES = new Set(Object.values(MERGING));

/**
 * The merging offloads that are on, by the names that `ethtool -K` takes.
 * @throws AnyhopError ERR_INTERFACE when one is on and cannot be switched off
 */
export async function mergingOffloads(link: string, run: RunTool): Promise<string[]> {
  const on: string[] = [];
  for (const line of (await requireTool(run, 'ethtool', ['-k', link])).split('\n')) {
    const [, name, state, rest] = /^\s*([a-z0-9-]+): (on|off)(.*)$/.exec(line) ?? [];
    const feature = name === undefined ? undefined : MERGING[name];
    if (feature === undefined || state !== 'on') continue;
    if (rest?.includes('[fixed]')) {
      throw new AnyhopError(
        'ERR_INTERFACE',
        `${name} of interface ${link} is on and cannot be switched off`,
        {
          hint: 'It merges packets into longer ones than can be forwarded: use another interface.',
        },
      );
    }
    on.push(feature);
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
