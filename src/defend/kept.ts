/**
 * What a node knows of floods and keeps over a restart, as text: norms, attacks that last, and which agents take its cookies. A file that
 * is not of this form is refused as a whole; nothing more is lost with it than what is learnt again in ten minutes.
 */
import * as z from 'zod';
import { ATTACK_KINDS } from '../api/defend.js';
import { NAME_PATTERN } from '../config/name-fields.js';
import { BACKENDS_MAX, SERVICES_MAX } from '../core/limits.js';
import { parseAddress } from '../packet/address.js';
import { NORM_MS } from './norm.js';
import type { KeptTaker } from './takers.js';
import type { KeptWatch } from './watch.js';

const VERSION = 1;
const COUNT_MAX = Number.MAX_SAFE_INTEGER;
const TIME_MS_MAX = 1e14;
/** Of an agent (agent/report.ts). */
const KEYS_MAX = 4;

export interface KeptDefence {
  readonly watch: KeptWatch;
  readonly takers: readonly KeptTaker[];
}

export const NOTHING_KEPT: KeptDefence = { watch: { norms: {}, attacks: [] }, takers: [] };

const name = z.string().regex(NAME_PATTERN);
const rate = z.number().min(0).max(COUNT_MAX);
const norm = z.strictObject({ perSecond: rate, learntMs: z.number().min(0).max(NORM_MS) });
const attack = z.strictObject({
  service: name,
  kind: z.enum(ATTACK_KINDS),
  mode: z.enum(['observe', 'enforce']),
  sinceMs: z.number().min(0).max(TIME_MS_MAX),
  peak: rate,
  packets: rate,
});
const taker = z.strictObject({
  address: z.string().refine((text) => parseAddress(text)?.text === text, 'not an address'),
  keys: z.array(z.string().regex(/^[0-9a-f]{16}$/)).max(KEYS_MAX),
  apartMs: z.number().min(-TIME_MS_MAX).max(TIME_MS_MAX),
});
const file = z.strictObject({
  version: z.literal(VERSION),
  norms: z.record(name, norm).refine((norms) => Object.keys(norms).length <= SERVICES_MAX),
  attacks: z.array(attack).max(SERVICES_MAX * ATTACK_KINDS.length),
  takers: z.array(taker).max(BACKENDS_MAX),
});

export function writeKept({ watch: { norms, attacks }, takers }: KeptDefence): string {
  return `${JSON.stringify({ version: VERSION, norms, attacks, takers })}\n`;
}

/** @throws Error when it is nothing that `writeKept` writes */
export function readKept(text: string): KeptDefence {
  const { norms, attacks, takers } = file.parse(JSON.parse(text));
  return { watch: { norms, attacks }, takers };
}
