/**
 * The config of a host in a fleet: the revision that the fleet agreed on, and over it what the host's own file says of this host alone.
 *
 *   revision   pools, services, defend: as they are. node, agent, l7, announce: what all hosts have in common
 *   own file   fleet; single settings of node, agent, l7, announce, which override those of the revision
 */
import { type Document, isMap, parseDocument } from 'yaml';

/** Sections of which a host's own file overrides single settings. */
const OF_THE_HOST = ['node', 'agent', 'l7', 'announce'] as const;
const FLEET = 'fleet';
const SECTION = /^["']?fleet["']?[ \t]*:/m;

/** Whether a config file may have the section fleet; its shape is for the schema to check. */
export function mentionsFleet(text: string): boolean {
  return SECTION.test(text);
}

/** One text of the two; a text that is no YAML mapping comes back as it is, for the schema to refuse. */
export function mergedText(revision: string, own: string): string {
  const [all, local] = [document(revision), document(own)];
  if (!isMap(all.contents)) return revision;
  if (!isMap(local.contents)) return own;
  for (const section of OF_THE_HOST) {
    const settings: unknown = local.toJS()[section];
    if (settings === undefined) continue;
    if (!isMapping(settings) || !isMap(all.get(section))) all.set(section, all.createNode(settings));
    else
      for (const [key, value] of Object.entries(settings)) all.setIn([section, key], all.createNode(value));
  }
  all.set(FLEET, all.createNode(local.toJS()[FLEET]));
  return all.toString({ lineWidth: 0 });
}

function document(text: string): Document {
  return parseDocument(text, { version: '1.2', schema: 'core', stringKeys: true, uniqueKeys: false });
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
