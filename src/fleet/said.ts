/** What is written to the store without a signature: what members say of themselves, what is in force, what is being prepared. */
import * as z from 'zod';
import { FINGERPRINT_PATTERN } from '../config/key-fingerprint.js';
import {
  FLEET_KEYS_MAX,
  FLEET_MESSAGE_CHARS_MAX,
  FLEET_RECORD_BYTES_MAX,
  L7_UPSTREAMS_MAX,
  POOLS_MAX,
} from '../core/limits.js';
import { printableLines } from '../core/printable.js';

/** `l7`: a proxy host. */
export const MEMBER_ROLES = ['forwarder', 'agent', 'l7'] as const;
export type MemberRole = (typeof MEMBER_ROLES)[number];

const number = z.int().min(0);
const words = z.string().max(FLEET_MESSAGE_CHARS_MAX).transform(printableLines);
const fingerprint = z.string().regex(FINGERPRINT_PATTERN);
/** SHA-256 of a record: a change that came to nothing leaves its number to the next one. */
const record = z.string().regex(/^[0-9a-f]{64}$/);

/** Of one member, while its lease lives. */
const member = z.strictObject({
  build: words,
  since: z.iso.datetime(),
  /** The revision in force there; 0 for none. */
  active: number,
  /** Of that, as it was signed, where the store has forgotten it. */
  record: z
    .string()
    .max(2 * FLEET_RECORD_BYTES_MAX)
    .optional(),
  /** What it has made ready to switch to. */
  prepared: z
    .strictObject({
      number,
      record,
      /** Why it would not be in force at once, in words; empty when it would be. */
      waits: z.array(words).max(FLEET_MESSAGE_CHARS_MAX),
    })
    .optional(),
  /** What it cannot take, and why. */
  refused: z.strictObject({ number, record, reason: words }).optional(),
  ready: z.boolean(),
  /** Why it is not ready. */
  reason: words.optional(),
  /** Public key with which it would sign the backends that it finds. */
  publicKey: z.string().max(64).transform(printableLines).optional(),
  /** The owners in force by pool, health and all. */
  owners: z.record(z.string(), z.string().max(64)).optional(),
  /** Of a forwarder: fingerprints of the secret that it hashes flows with, and of all that its file has. */
  keys: z
    .strictObject({
      inForce: fingerprint,
      held: z.array(fingerprint).max(FLEET_KEYS_MAX),
    })
    .optional(),
});
export type SaidByMember = z.output<typeof member>;

/** `at`: since when it is in force, by the clock of whoever put it in force. */
const active = z.strictObject({ number, record, at: z.iso.datetime().optional() });
export type Active = z.output<typeof active>;

/** `record` as in record.ts. */
const intent = z.strictObject({ record: z.string().max(2 * FLEET_RECORD_BYTES_MAX) });
export type Intent = z.output<typeof intent>;

/** Of the node that asks the sources. */
const discovery = z.strictObject({
  node: words,
  pools: z
    .array(
      z.strictObject({
        pool: words.optional(),
        upstream: words.optional(),
        source: words,
        answeredAt: z.iso.datetime().nullable(),
        backends: number.nullable().optional(),
        servers: number.nullable().optional(),
        alarm: z.strictObject({ kind: words, text: words, since: z.iso.datetime() }).optional(),
        waits: z.array(words).max(FLEET_MESSAGE_CHARS_MAX).optional(),
      }),
    )
    .max(POOLS_MAX + L7_UPSTREAMS_MAX),
});
export type SaidOfSources = z.output<typeof discovery>;

export const readSources = reader(discovery);
export const readMember = reader(member);
export const readActive = reader(active);
export const readIntent = reader(intent);

/** Undefined for what is no such value: the store is trusted for nothing. */
function reader<T>(schema: z.ZodType<T>): (text: string | undefined) => T | undefined {
  return (text) => {
    if (text === undefined) return undefined;
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  };
}
