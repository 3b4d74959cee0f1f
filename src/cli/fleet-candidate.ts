/**
 * What a file of the operator comes to once it has what the program keeps in it: backends that sources have found, and the flow hash key
 * in force, which `anyhop fleet rotate-key` alone changes.
 */
import { keyIdIn, withKeyId } from '../config/edit/key-id.js';
import { refused } from '../fleet/refused.js';
import type { FleetView } from '../fleet/view.js';
import type { Candidate } from './fleet-change.js';
import { keepingFound, notesOnFound } from './fleet-found.js';

export interface Kept {
  readonly candidate: Candidate;
  /** What an operator should know of it. */
  readonly notes: readonly string[];
}

/**
 * @param text of the file
 * @param of an earlier revision, whose key may be a former one
 * @throws AnyhopError ERR_FLEET when the file says another key; ConfigError
 */
export function candidateFrom(
  text: string,
  file: string,
  before: Candidate | undefined,
  view: FleetView,
  isFormer = false,
): Kept {
  const key = keepingKey(text, file, keyInForce(before, view), isFormer);
  const candidate = keepingFound(key.text, file, before);
  return { candidate, notes: [...key.notes, ...notesOnFound(candidate.config, before)] };
}

interface InForce {
  readonly id: string;
  /** Whether the revision in force says so. */
  readonly isSaid: boolean;
}

/** Undefined where nothing is in force, or forwarders do not agree. */
function keyInForce(before: Candidate | undefined, { members }: FleetView): InForce | undefined {
  if (before === undefined) return undefined;
  const said = keyIdIn(before.text);
  if (said !== undefined) return { id: said, isSaid: true };
  const ids = new Set(members.flatMap((member) => member.said?.keys?.inForce ?? []));
  const [id] = ids;
  return id !== undefined && ids.size === 1 ? { id, isSaid: false } : undefined;
}

function keepingKey(
  text: string,
  file: string,
  inForce: InForce | undefined,
  isFormer: boolean,
): { readonly text: string; readonly notes: readonly string[] } {
  const said = keyIdIn(text);
  if (inForce === undefined || said === inForce.id) return { text, notes: [] };
  if (said === undefined && !inForce.isSaid) return { text, notes: [] };
  const { id } = inForce;
  if (said !== undefined && !isFormer)
    throw refused(
      `${file}: node.key_id is ${said}, and flows are hashed with ${id}`,
      `Write ${id} or nothing there; \`anyhop fleet rotate-key ${said}\` puts the other one in force.`,
      2,
    );
  const why = said === undefined ? `${file} does not say it` : `not ${said}, as ${file} has it`;
  return { text: withKeyId(text, file, id), notes: [`node.key_id stays ${id}: ${why}`] };
}
