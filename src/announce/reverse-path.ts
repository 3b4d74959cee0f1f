/**
 * A row of a VIP in the main table keeps answers of that VIP away from this host: the kernel looks for the way back to their source, finds
 * the row, and drops them if net.ipv4.conf.*.rp_filter is 1 or 2. Only health checks through the tunnel wait for such answers. With a table
 * of the rows' own, and for IPv6, nothing of that happens.
 */
import { readFileSync } from 'node:fs';
import type { ConfigProblem } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { ROUTE_TABLE_MAIN } from '../core/limits.js';
import { listed } from '../core/listed.js';

/**
 * At most one warning, about the interface that answers come in by.
 * @param read the text of a file; throws when there is none
 */
export function warnAboutReversePath(
  { announce, pools, file, placeOf }: Pick<LoadedConfig, 'announce' | 'pools' | 'file' | 'placeOf'>,
  networkInterface: string | undefined,
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): ConfigProblem[] {
  if (announce.table !== ROUTE_TABLE_MAIN) return [];
  const own = new Set(announce.vips.filter(({ family }) => family === 4).map(({ text }) => text));
  const checked = pools.filter(({ health }) =>
    health.some((check) => check.kind === 'tunnel' && check.endpoints.some(({ vip }) => own.has(vip.text))),
  );
  if (checked.length === 0) return [];
  // The larger value counts.
  const names = ['all', networkInterface ?? 'default'];
  const strictest = names
    .map((name) => ({ name, value: reversePathFilter(name, read) }))
    .reduce((a, b) => (a.value >= b.value ? a : b));
  if (strictest.value === 0) return [];
  const setting = ['net', 'ipv4', 'conf', strictest.name.replaceAll('.', '/'), 'rp_filter'].join('.');
  return [
    {
      file,
      ...placeOf(['announce', 'table']),
      field: 'announce.table',
      message:
        `found main while ${setting} is ${strictest.value}: the kernel drops what VIPs answer to health checks of kind tunnel ` +
        `(${listed(checked.map(({ name }) => `pool ${name}`))}); set rp_filter to 0, for all and for the interface, or use another table`,
    },
  ];
}

function reversePathFilter(name: string, read: (path: string) => string): number {
  try {
    return Number(read(`/proc/sys/net/ipv4/conf/${name}/rp_filter`));
  } catch {
    return 0; // not the node's machine
  }
}
