/**
 * A revision of a fleet's config, as it stands in the store: who made it, when, why, what it changes, and the SHA-256 of its text. The
 * operator signs the record as it is written, so that no form of it needs to be agreed on.
 *
 *   {"record": "{\"fleet\":\"edge\",\"number\":7,...}", "signature": "base64"}
 *
 * A node that finds backends signs with its own key, and says its name beside the record; records.ts says when that is taken.
 *
 * A number is used once, and a host takes only numbers above that of the revision in force there: so nobody who can write to the store
 * can bring an old one back. A rollback is a new revision with an old text.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { NAME_PATTERN } from '../config/name-fields.js';
import { AnyhopError } from '../core/errors.js';
import { FLEET_MEMBERS_MAX, FLEET_MESSAGE_CHARS_MAX, FLEET_RECORD_BYTES_MAX } from '../core/limits.js';
import { isSignedBy, type SigningKey, signature } from './keys.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const record = z.strictObject({
  fleet: z.string().regex(NAME_PATTERN),
  number: z.int().min(1),
  /** SHA-256 of the record before it; none for the first. */
  parent: sha256.optional(),
  /** When that came into force, by the clock of whoever put it in force. */
  parentAt: z.iso.datetime().optional(),
  /** Of a node: the operator's revision that it stands upon. */
  base: z.strictObject({ number: z.int().min(1), record: sha256 }).optional(),
  /** SHA-256 of the text. */
  config: sha256,
  /** What every host must make of it: digest.ts. */
  digest: sha256,
  by: z.string().max(FLEET_MESSAGE_CHARS_MAX),
  /** When it was asked for. */
  at: z.iso.datetime(),
  message: z.string().max(FLEET_MESSAGE_CHARS_MAX),
  /** In words. */
  changes: z.array(z.string().max(FLEET_MESSAGE_CHARS_MAX)),
  /** Takes it also where connections break by it. */
  force: z.boolean(),
  /** Members that do not take part, as `forwarder/edge-3`. */
  without: z.array(z.string()).max(FLEET_MEMBERS_MAX),
});

const envelope = z.strictObject({
  record: z.string().max(FLEET_RECORD_BYTES_MAX),
  signature: z.string().max(128),
  /** Whose key it is, when it is not the operator's. */
  node: z.string().regex(NAME_PATTERN).optional(),
});

export type Revision = z.output<typeof record>;
export interface NodeRevision extends Omit<Revision, 'base'> {
  readonly base: NonNullable<Revision['base']>;
}

/** Why a record is not taken. */
export class BadRecord extends Error {}

/** @param node whose key it is, when it is not the operator's @throws AnyhopError ERR_FLEET when it says more than members read */
export function sealed(revision: Revision, key: SigningKey, node?: string): string {
  const text = JSON.stringify(revision);
  if (text.length > FLEET_RECORD_BYTES_MAX)
    throw new AnyhopError(
      'ERR_FLEET',
      `what is said of the revision has ${text.length} characters; members read ${FLEET_RECORD_BYTES_MAX}`,
      {
        hint: 'Leave fewer members out of it, or strike off those that are gone with `anyhop fleet forget`.',
      },
    );
  return JSON.stringify({
    record: text,
    signature: signature(text, key),
    ...(node !== undefined && { node }),
  });
}

/**
 * @param text as it stands in the store, which is trusted for nothing
 * @throws BadRecord when it is none, of another fleet, or not signed by the operator
 */
export function opened(text: string, fleet: string, operatorKey: Uint8Array): Revision {
  const { record: inner, signature: signed, node } = parse(envelope, text);
  if (node !== undefined || !isSignedBy(inner, signed, operatorKey))
    throw new BadRecord('its signature is not of the operator (fleet.operator_key)');
  const revision = ofFleet(inner, fleet);
  if (revision.base !== undefined) throw new BadRecord('it is of the operator, and stands upon another one');
  return revision;
}

/**
 * The same of a node.
 * @param key of the node that it names
 * @throws BadRecord also when it forces anything, or leaves members out
 */
export function openedOfNode(text: string, fleet: string, key: Uint8Array): NodeRevision {
  const { record: inner, signature: signed, node } = parse(envelope, text);
  if (!isSignedBy(inner, signed, key)) throw new BadRecord(`its signature is not of ${node}`);
  const { base, ...revision } = ofFleet(inner, fleet);
  if (base === undefined)
    throw new BadRecord('it does not say which revision of the operator it stands upon');
  if (revision.force || revision.without.length > 0)
    throw new BadRecord('a node has signed it, and it forces something or leaves members out');
  return { ...revision, base };
}

/** The node that says to have signed it; undefined when it is not one, as far as can be told. */
export function signerOf(text: string): string | undefined {
  try {
    return parse(envelope, text).node;
  } catch (error) {
    if (error instanceof BadRecord) return undefined;
    throw error;
  }
}

/** What a record says, whoever has signed it: for one that was checked before. @throws BadRecord */
export function peeked(text: string): Revision {
  return parse(record, parse(envelope, text).record);
}

function ofFleet(inner: string, fleet: string): Revision {
  const revision = parse(record, inner);
  if (revision.fleet !== fleet) throw new BadRecord('it is signed for another fleet');
  return revision;
}

export function digestOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function parse<T>(schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadRecord('it is no JSON');
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data as T;
  const [{ path, message }] = error.issues;
  throw new BadRecord(`${path.join('.') || 'its value'}: ${message}`);
}
