/**
 * What gdnsd reads of the regions, in its own language (vscf): two files, since an `extfile` takes states only, and weights stand in the
 * configuration.
 *
 *   NAME           203.0.113.10 => UP/60        of each VIP; gdnsd follows it by itself, in 2.02 s (3.8.1)
 *   NAME.weights   www => { addrs_v4 => { eu => [ 203.0.113.10, 5 ], ... } ... }
 *                                               of each host; included in the configuration, read by `gdnsdctl replace`, in 10 ms
 *
 * Both are written, the states first: if somebody has broken the configuration, a replace fails, and the states alone still do.
 */
import type { IpAddress } from '../../packet/address.js';
import type { HostState } from './judge.js';

/** Of every answer, in seconds. */
export const REGION_TTL_S = 60;
/** gdnsd says of a host with this key, the zone itself, what it says of one with a name; no host has capital letters. */
const ZONE_RESOURCE = 'ZONE';

export function weightsFile(statesFile: string): string {
  return `${statesFile}.weights`;
}

/** The name of a host's resource in gdnsd. */
export function resourceOf(host: string): string {
  return host === '@' ? ZONE_RESOURCE : host;
}

export function statesText(hosts: readonly HostState[]): string {
  const lines = hosts.flatMap(({ regions }) =>
    regions.flatMap(({ vips, isUp }) =>
      vips.map(({ text }) => `${text} => ${isUp ? 'UP' : 'DOWN'}/${REGION_TTL_S}\n`),
    ),
  );
  return `# written by anyhop\n${lines.join('')}`;
}

export function weightsText(hosts: readonly HostState[]): string {
  return `# written by anyhop\n${hosts.map(resourceText).join('')}`;
}

function resourceText({ host, regions }: HostState): string {
  const families = ([4, 6] as const).flatMap((family) => {
    const items = regions.flatMap(({ name, vips, weight }) =>
      ofFamily(vips, family).map(
        (vip, index) => `    ${itemName(name, index)} => [ ${vip.text}, ${weight} ]\n`,
      ),
    );
    return items.length === 0 ? [] : `  addrs_v${family} => {\n${items.join('')}  }\n`;
  });
  return `${quoted(resourceOf(host))} => {\n${families.join('')}}\n`;
}

export function ofFamily(vips: readonly IpAddress[], family: 4 | 6): IpAddress[] {
  return vips.filter((vip) => vip.family === family);
}

/** A region may have several addresses of a family for one host. */
export function itemName(region: string, index: number): string {
  return quoted(index === 0 ? region : `${region}/${index + 1}`);
}

/** Names have nothing that needs an escape (letters, digits and `._-`). */
export function quoted(name: string): string {
  return `"${name}"`;
}
