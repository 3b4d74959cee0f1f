/** A line of the node's stream, checked: whoever listens on that socket may send anything. */
import * as z from 'zod';
import type { FollowLine, FollowSame } from '../api/follow.js';
import { NAME_PATTERN } from '../config/name-fields.js';
import {
  BACKENDS_PER_POOL_MAX,
  INTERFACE_CHARS_MAX,
  POOLS_MAX,
  SERVICES_MAX,
  VIPS_MAX,
} from '../core/limits.js';
import { printable } from '../core/printable.js';
import { parseAddress } from '../packet/address.js';

/** Reasons of a node are sentences; what is longer is cut where it is shown. */
const TEXT_CHARS_MAX = 4096;
const REASONS_MAX = 64;

const words = z
  .string()
  .max(TEXT_CHARS_MAX)
  .transform((text) => printable(text));
const name = z.string().regex(NAME_PATTERN);
const interfaceName = z.string().min(1).max(INTERFACE_CHARS_MAX);
const count = z.int().min(0);
/** In canonical text. */
export const address = z.string().refine((text) => parseAddress(text)?.text === text);
const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);

const place = z.object({ name: interfaceName, index: z.int().min(1) });
export const engine = z.object({
  name,
  interface: place,
  program: z.int().min(1).optional(),
});
const service = z.object({ name, pool: name, ready: z.boolean(), reason: words.optional() });
const hop = z.object({ address, interface: place, mac, vlan: z.int().min(0).max(4095).optional() });

/** Of one pool. */
export const hops = z.array(hop).max(BACKENDS_PER_POOL_MAX);

const line = z.object({
  node: name,
  version: words,
  pid: z.int().min(1),
  startedAt: z.iso.datetime(),
  line: z.int().min(1),
  phase: z.enum(['starting', 'serving', 'stopping', 'left']),
  reasons: z.array(words).max(REASONS_MAX),
  stop: z.object({ why: words, until: z.iso.datetime(), forwardsOn: z.boolean() }).optional(),
  engine: engine.optional(),
  vips: z.array(z.object({ vip: address, services: z.array(service).max(SERVICES_MAX) })).max(VIPS_MAX),
  pools: z
    .record(name, z.object({ up: count, total: count, hops }))
    .refine((pools) => Object.keys(pools).length <= POOLS_MAX),
});

const same = z.object({ line: z.int().min(1), same: z.literal(true) });

/** @returns the line, whole or short, or what is wrong with it, in words */
export function readLine(text: string): FollowLine | FollowSame | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'a line is no JSON';
  }
  const isShort = typeof value === 'object' && value !== null && 'same' in value;
  const { data, error } = (isShort ? same : line).safeParse(value);
  if (data !== undefined) return data as FollowLine | FollowSame;
  const { path, message } = error.issues[0]!;
  return printable(`a line has a wrong ${path.join('.') || 'shape'}: ${message}`);
}
