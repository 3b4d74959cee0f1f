/** The interface and BPF file system of `stop` and `agent --stop`, and their reports. */
import { Option } from 'commander';
import { BPFFS_DEFAULT } from '../core/limits.js';
import type { Place } from '../pins/directory.js';
import type { ConfigOptions, NodeOptions } from './options.js';
import { writeResult } from './output.js';

export interface PlaceOptions extends ConfigOptions, Pick<NodeOptions, 'interface'> {
  readonly bpffs?: string;
  readonly json?: true;
}

/** @param section of the config @param description start of the option's description */
export function bpffsOption(section: 'node' | 'agent', description: string): Option {
  return new Option(
    '--bpffs <directory>',
    `${description} (default: ${section}.bpffs of the config file; without a file: ${BPFFS_DEFAULT})`,
  );
}

/**
 * @param isConfigNamed whether the user named a config, which is then read; otherwise an interface is enough
 * @param load reads the config
 */
export function placeOf(options: PlaceOptions, isConfigNamed: boolean, load: () => Place): Place {
  const { bpffs, interface: name } = options;
  if (name !== undefined && (bpffs !== undefined || !isConfigNamed))
    return { interface: name, bpffs: bpffs ?? BPFFS_DEFAULT };
  const place = load();
  return { interface: place.interface, bpffs: bpffs ?? place.bpffs };
}

/**
 * @param removed undefined when there was nothing
 * @param nothing message for that case
 * @param stopped message about a program that was attached
 */
export function tellRemoved<A>(
  { json }: PlaceOptions,
  place: Place,
  removed: { readonly attached: A | undefined } | undefined,
  nothing: string,
  stopped: (attached: A) => string,
): void {
  const { interface: name, bpffs } = place;
  writeResult(json, { ...place, removed: removed ?? null }, () => {
    if (removed === undefined) return `${nothing} ${name} (looked in ${bpffs})\n`;
    if (removed.attached === undefined)
      return `removed what was left in ${bpffs}; no program was on ${name}\n`;
    return `${stopped(removed.attached)}\n`;
  });
}
