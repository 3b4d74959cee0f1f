/**
 * What the next process must know when this one is killed: what forwards, since when nobody follows it, and what an operator said. A
 * small file beside the control socket, in a directory that does not outlive the machine, as rows do not.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod';
import { monotonicMs } from '../core/clock.js';
import { makeDirectory } from '../core/directory.js';
import { STOP_DELAY_MS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { readOwnFile, replaceOwnFile } from '../core/own-file.js';
import { printable } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import type { Knowledge } from './knowledge.js';
import { address, engine, hops } from './line.js';

const VERSION = 1;
const DIRECTORY_MODE = 0o755;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

const ms = z.number().min(0);
const kept = z.strictObject({
  version: z.literal(VERSION),
  /** Of the kernel: its clock starts anew with it. */
  boot: z.string(),
  table: z.int().min(1),
  namespace: z.int().min(0),
  stop: z.strictObject({ forwardsOn: z.boolean(), until: z.string(), untilMs: ms }).optional(),
  forwarding: z
    .strictObject({
      engine,
      vips: z.record(address, z.array(z.string())),
      hops: z.record(z.string(), hops),
    })
    .optional(),
  orphanMs: ms.optional(),
  hold: z.strictObject({ by: z.enum(['withdraw', 'stop']), sinceMs: ms }).optional(),
});

export interface Kept extends Pick<Knowledge, 'stop' | 'forwarding' | 'orphanMs' | 'hold'> {
  readonly table: number;
  /** See `networkNamespace`. */
  readonly namespace: number;
}

/** @param socket of the announcer */
export function keptPath(socket: string): string {
  return `${socket.replace(/\.sock$/, '')}.json`;
}

/** @returns undefined when the path is not that of a kept file of an announcer's socket as it is by default */
export function socketOfKept(path: string): string | undefined {
  return path.endsWith('-announce.json') ? path.replace(/json$/, 'sock') : undefined;
}

/** Of a file that is wrong, or of another version: what an operator said holds in any. */
const held = z.object({
  table: kept.shape.table,
  namespace: kept.shape.namespace,
  hold: z.object({ by: z.literal('withdraw') }),
});

/**
 * What the process before kept; undefined without one, or when the machine has started anew since.
 * @throws Error when it cannot be used
 */
export function readKept(socket: string): Kept | undefined {
  const value = readValue(socket);
  if (value === undefined) return undefined;
  const { version: _, boot, ...rest } = kept.parse(value);
  if (boot !== bootId()) return heldOf(rest);
  requirePast(rest as Kept);
  return rest as Kept;
}

/** As `readKept`; of what cannot be used, an operator's `--withdraw` is left. @param complain told in words why it cannot be used */
export function readKeptOrHold(
  socket: string,
  complain: (why: string) => void = () => undefined,
): Kept | undefined {
  try {
    return readKept(socket);
  } catch (error) {
    complain(error instanceof z.ZodError ? faultOf(error) : reasonOf(error));
  }
  try {
    return heldOf(readValue(socket));
  } catch {
    return undefined;
  }
}

function readValue(socket: string): unknown {
  const path = keptPath(socket);
  try {
    const owner = process.geteuid?.() === 0 ? statSync(dirname(path)).uid : undefined;
    return JSON.parse(readOwnFile(path, owner).text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What an operator said holds on; its clock does not. */
function heldOf(value: unknown): Kept | undefined {
  const { data } = held.safeParse(value);
  return data && { ...data, hold: { ...data.hold, sinceMs: 0 } };
}

/** @throws Error for times that are still to come: they are of another clock, and would keep an orphan for ever */
function requirePast({ stop, orphanMs = 0, hold }: Kept): void {
  const nowMs = monotonicMs();
  const isToCome =
    orphanMs > nowMs || (hold?.sinceMs ?? 0) > nowMs || (stop?.untilMs ?? 0) > nowMs + STOP_DELAY_MS_MAX;
  if (isToCome) throw new Error('its times are still to come');
}

function faultOf({ issues }: z.ZodError): string {
  const [{ path, message }] = issues as [(typeof issues)[number]];
  return printable(`wrong ${path.join('.') || 'shape'}: ${message}`);
}

/** Writes it; root does so for the user whose directory it is. @throws NodeJS.ErrnoException, AnyhopError ERR_SOCKET */
export function writeKept(socket: string, kept: Kept): Promise<void> {
  return replaceKept(socket, textOf(kept));
}

function textOf({ table, namespace, stop, forwarding, orphanMs, hold }: Kept): string {
  return JSON.stringify({
    version: VERSION,
    boot: bootId(),
    table,
    namespace,
    stop,
    forwarding,
    orphanMs,
    hold,
  });
}

async function replaceKept(socket: string, text: string): Promise<void> {
  const path = keptPath(socket);
  const directory = dirname(path);
  makeDirectory(directory, DIRECTORY_MODE);
  const { uid } = statSync(directory);
  if (process.geteuid?.() !== 0) requireOwnDirectory(directory, 'ERR_SOCKET', 'announce.socket');
  await replaceOwnFile(path, `${text}\n`, { owner: uid });
}

/** Keeps the newest; a failure is logged once. */
export class Keeper {
  readonly #socket: string;
  readonly #log: Logger;
  readonly #writes = new Rerun(() => this.#write());
  #kept: Kept | undefined;
  #text = '';
  #complaint: string | undefined;

  constructor(socket: string, log: Logger) {
    this.#socket = socket;
    this.#log = log;
  }

  /** Resolves when this or something newer is kept, or when that has failed. */
  async keep(now: Kept): Promise<void> {
    if (this.#isKept(now)) return;
    this.#kept = now;
    await this.#writes.ask();
  }

  idle(): Promise<void> {
    return this.#writes.idle();
  }

  #isKept({ table, stop, forwarding, orphanMs, hold }: Kept): boolean {
    const before = this.#kept;
    return (
      before !== undefined &&
      before.table === table &&
      before.stop === stop &&
      before.forwarding === forwarding &&
      before.orphanMs === orphanMs &&
      before.hold === hold
    );
  }

  async #write(): Promise<void> {
    try {
      const text = textOf(this.#kept!);
      if (text === this.#text) return;
      await replaceKept(this.#socket, text);
      this.#text = text;
      this.#complaint = undefined;
    } catch (error) {
      const why = reasonOf(error);
      if (why === this.#complaint) return;
      this.#complaint = why;
      const file = keptPath(this.#socket);
      this.#log.error(
        { event: 'state_not_kept', file, why },
        `${file}: ${why}; if this process is killed, the next one withdraws the VIPs of a node without a process`,
      );
    }
  }
}

function bootId(): string {
  return readFileSync(BOOT_ID, 'latin1').trim();
}
