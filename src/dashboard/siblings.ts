/**
 * The other nodes of the fleet, asked for a glance at them: each by itself, every two seconds while somebody watches, over mutual TLS, from
 * the host that its certificate names. One that does not answer stays on the page, with since when and why, and with what it said last.
 */
import { Agent, type RequestOptions } from 'node:https';
import { z } from 'zod';
import { BACKENDS_MAX, NAME_CHARS_MAX, POOLS_MAX } from '../core/limits.js';
import { printable } from '../core/printable.js';
import { reasonWithPlace } from '../core/reason.js';
import type { Mounted } from '../web/pages.js';
import { askTls } from './ask.js';
import type { Glance, PeerCard } from './wire.js';

/** Where a node says what it is at a glance. */
export const GLANCE_PATH = '/api/glance';
const ASK_EVERY_MS = 2_000;
const TIMEOUT_MS = 1_500;
/** POOLS_MAX pools with a name and a digest each have some 40 KB. */
const ANSWER_BYTES_MAX = 256 * 1024;
const TEXT_CHARS_MAX = 256;

export interface Sibling {
  /** Whom its certificate must be for. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

const text = z
  .string()
  .max(1024)
  .transform((value) => printable(value, TEXT_CHARS_MAX));
const name = z
  .string()
  .regex(/^[\w.-]+$/)
  .max(NAME_CHARS_MAX);
const rate = z.number().min(0);
const count = z.int().min(0).max(BACKENDS_MAX);
const glance = z.object({
  node: text,
  version: text,
  ready: z.boolean(),
  reasons: z.array(text).max(64),
  engine: text,
  packetsPerSecond: rate,
  bytesPerSecond: rate,
  dropsPerSecond: rate,
  backends: z.object({ total: count, up: count, draining: count }),
  digests: z.record(name, z.string().regex(/^[0-9a-f]{64}$/)),
});

/** @throws Error for anything else, in words */
export function readGlance(value: unknown): Glance {
  const { data, error } = glance.safeParse(value);
  if (error !== undefined) {
    const [{ path, message }] = error.issues;
    throw new Error(`its answer is not understood: ${printable(path.join('.'))}: ${message}`);
  }
  if (Object.keys(data.digests).length > POOLS_MAX) throw new Error(`it has more than ${POOLS_MAX} pools`);
  return data;
}

interface Heard {
  readonly sibling: Sibling;
  glance?: Glance;
  heardAtMs?: number;
  silent?: { readonly why: string; readonly sinceMs: number };
  askedAtMs: number;
  isAsked: boolean;
}

export class Siblings {
  readonly #heard: readonly Heard[];
  readonly #secure: RequestOptions;
  readonly #now: () => number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: 10_000 });

  /** @param tls certificate with key, and authorities, in PEM */
  constructor(siblings: readonly Sibling[], tls: Mounted['tls'], now: () => number = Date.now) {
    this.#heard = siblings.map((sibling) => ({
      sibling,
      askedAtMs: Number.NEGATIVE_INFINITY,
      isAsked: false,
    }));
    this.#secure = secureOptions(tls);
    this.#now = now;
  }

  /** Asks those whose turn it is; resolves when they have answered or not, and never rejects. */
  async ask(): Promise<void> {
    const nowMs = this.#now();
    const due = this.#heard.filter((one) => !one.isAsked && nowMs - one.askedAtMs >= ASK_EVERY_MS);
    await Promise.all(due.map((one) => this.#askOne(one)));
  }

  /** @param own what this node is at a glance: whose pools are compared with theirs */
  cards(own: Glance | undefined): Map<string, PeerCard> {
    const cards = new Map<string, PeerCard>();
    if (own !== undefined)
      cards.set(`peer/${own.node}`, { name: own.node, isSelf: true, glance: own, differs: [] });
    for (const { sibling, glance, heardAtMs, silent } of this.#heard) {
      cards.set(`peer/${sibling.name}`, {
        name: sibling.name,
        isSelf: false,
        ...(glance && { glance }),
        ...(heardAtMs !== undefined && { heardAt: new Date(heardAtMs).toISOString() }),
        ...(silent && { silent: { why: silent.why, since: new Date(silent.sinceMs).toISOString() } }),
        differs: own === undefined || glance === undefined ? [] : differing(own.digests, glance.digests),
      });
    }
    return cards;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #askOne(one: Heard): Promise<void> {
    const { name, host, port } = one.sibling;
    one.isAsked = true;
    one.askedAtMs = this.#now();
    try {
      const options = {
        ...this.#secure,
        host,
        port,
        path: GLANCE_PATH,
        servername: name,
        agent: this.#agent,
      };
      one.glance = readGlance(await askTls(options, { timeoutMs: TIMEOUT_MS, bytesMax: ANSWER_BYTES_MAX }));
      one.heardAtMs = this.#now();
      delete one.silent;
    } catch (error) {
      one.silent = { why: reasonWithPlace(error), sinceMs: one.silent?.sinceMs ?? this.#now() };
    } finally {
      one.isAsked = false;
    }
  }
}

function secureOptions(tls: Mounted['tls']): RequestOptions {
  if (tls === undefined) return {};
  const own = Buffer.from(tls.certificate);
  return { cert: own, key: own, ...(tls.authorities && { ca: Buffer.from(tls.authorities) }) };
}

/** Pools that both have, with other tables. */
function differing(own: Glance['digests'], theirs: Glance['digests']): string[] {
  return Object.keys(own).filter((pool) => Object.hasOwn(theirs, pool) && theirs[pool] !== own[pool]);
}
