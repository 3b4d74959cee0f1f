/**
 * The config of a host in a fleet: the revision that the fleet agreed on, and over it what the host's own file says of this host alone.
 *
 *   revision   pools, services, defend: as they are. node, agent, l7, announce: what all hosts have in common
 *   own file   fleet; single settings of node, agent, l7, announce, which override those of the revision
 *
 * Which secret is in force is the fleet's to say, as soon as it does.
 */
import { type Document, isMap, parseDocument, visit, YAMLMap } from 'yaml';
import { cutSections } from './sections.js';

/** Sections of which a host's own file overrides single settings. */
const OF_THE_HOST = ['node', 'agent', 'l7', 'announce'] as const;
const FLEET = 'fleet';
const KEY_ID = 'key_id';
const SECTION = /^["']?fleet["']?[ \t]*:/m;

/** Whether a config file may have the section fleet; its shape is for the schema to check. */
export function mentionsFleet(text: string): boolean {
  return SECTION.test(text);
}

/**
 * One text of the two: the revision, in which what the host overrides is empty lines, then the sections of the host. So messages name
 * the lines of the revision. A text that is no YAML mapping comes back as it is, for the schema to refuse.
 */
export function mergedText(revision: string, own: string): string {
  const local = document(own);
  if (!isMap(local.contents)) return own;
  keepOddNumbers(local);
  const settingsOf: Record<string, unknown> = local.toJS();
  const ofHost = OF_THE_HOST.filter((section) => settingsOf[section] !== undefined);
  const { kept, cut } = cutSections(revision, new Set([...ofHost, FLEET])) ?? { kept: '', cut: revision };
  const all = document(cut);
  if (all.contents === null && kept !== '') all.contents = new YAMLMap();
  if (!isMap(all.contents)) return revision;
  keepOddNumbers(all);
  for (const section of ofHost) {
    const settings = settingsOf[section];
    if (!isMapping(settings) || !isMap(all.get(section))) all.set(section, all.createNode(settings));
    else
      for (const [key, value] of Object.entries(settings))
        if (key !== KEY_ID || !all.hasIn([section, key])) all.setIn([section, key], all.createNode(value));
  }
  all.set(FLEET, all.createNode(settingsOf[FLEET]));
  const sections = all.toString({ lineWidth: 0 });
  return kept === '' || kept.endsWith('\n') ? kept + sections : `${kept}\n${sections}`;
}

/** A number that is written otherwise than it would be written here, such as a key of 32 digits, stays as it is, as a text. */
function keepOddNumbers(all: Document): void {
  visit(all, {
    Scalar: (_, scalar) => {
      if (typeof scalar.value !== 'number' || scalar.source === undefined) return;
      if (String(scalar.value) !== scalar.source) scalar.value = scalar.source;
    },
  });
}

function document(text: string): Document {
  return parseDocument(text, { version: '1.2', schema: 'core', stringKeys: true, uniqueKeys: false });
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
