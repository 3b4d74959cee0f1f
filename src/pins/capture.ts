/**
 * Captures the packets of a program that is pinned on an interface, whether its process runs or not.
 *
 *   arm --> every 250 ms: the lease, and whether another program has taken the place of this one --> read, read, ... --> close
 *
 * The lease is renewed by a timer, so a reader that is slow loses records (which the program counts), and one that is dead disarms the
 * program within a second. When another program takes the place of the one that is captured, as a reload or an upgrade does, the capture
 * goes on with that.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { filterBytes } from '../capture/filter-bytes.js';
import type {
  CaptureFilter,
  CaptureNames,
  CapturePoint,
  CaptureRecord,
  CaptureSource,
} from '../capture/record.js';
import { readRecords } from '../capture/record-bytes.js';
import { AnyhopError } from '../core/errors.js';
import type { CaptureRing } from '../ffi/capture-ring.js';
import type { CaptureMaps } from './capture-maps.js';

const RENEW_MS = 250;
/** ANYHOP_CAPTURE_LEASE_NS. */
const LEASE_MS = 1000;
/** Of looks at the ring while it is empty: at a million records a second it fills within 14 ms. */
const POLL_MS = 4;

/** A program in force, with its maps, which are closed by whoever asked. */
export interface Capturable {
  readonly programId: number;
  readonly maps: CaptureMaps;
}

export interface PinnedCaptureOptions {
  readonly point: CapturePoint;
  readonly interface: string;
  readonly description: string;
  readonly names: () => Promise<CaptureNames>;
  /** What is in force now; undefined when nothing is. @throws AnyhopError when it cannot be captured */
  readonly find: () => Capturable | undefined;
}

export class PinnedCapture implements CaptureSource {
  readonly point: CapturePoint;
  readonly interface: string;
  readonly description: string;
  readonly names: () => Promise<CaptureNames>;
  readonly #find: () => Capturable | undefined;
  #filter: Buffer | undefined;
  #ring: CaptureRing | undefined;
  #programId: number | undefined;
  /** Records of the program before. */
  #rest: CaptureRecord[] = [];
  #lostBefore = 0;
  #blindMs = 0;
  /** When the program in force was armed for certain. */
  #armedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor({ point, interface: name, description, names, find }: PinnedCaptureOptions) {
    this.point = point;
    this.interface = name;
    this.description = description;
    this.names = names;
    this.#find = find;
  }

  /** @throws AnyhopError ERR_INTERFACE while another capture runs, or nothing is in force; what `find` throws */
  async arm(filter: CaptureFilter): Promise<void> {
    this.#filter = filterBytes(filter);
    this.#take();
    if (this.#ring === undefined) {
      throw new AnyhopError('ERR_INTERFACE', `nothing is in force on ${this.interface}`, {
        hint: 'See what is on it: ip -details link show',
      });
    }
    this.#armedMs = performance.now();
    this.#timer = setInterval(() => this.#look(), RENEW_MS);
  }

  async read(waitMs: number): Promise<readonly CaptureRecord[] | undefined> {
    const end = performance.now() + waitMs;
    for (;;) {
      const records = this.#rest.splice(0).concat(this.#poll());
      if (records.length > 0) return records;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#ring === undefined) return undefined;
      const left = end - performance.now();
      if (left <= 0) return [];
      await delay(Math.min(POLL_MS, left));
    }
  }

  get lost(): number {
    return this.#lostBefore + (this.#ring?.lost() ?? 0);
  }

  get blindMs(): number {
    return this.#blindMs;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#letGo();
  }

  #poll(): CaptureRecord[] {
    return this.#ring === undefined ? [] : readRecords(this.#ring.poll());
  }

  /** Renews the lease, and follows the program in force. */
  #look(): void {
    const sinceMs = performance.now() - this.#armedMs;
    try {
      if (this.#isReplaced()) {
        this.#letGo();
        this.#take();
        this.#blindMs += sinceMs; // it may have been at any moment since
      } else {
        this.#ring?.extend();
        this.#blindMs += Math.max(0, sinceMs - LEASE_MS);
      }
      this.#armedMs = performance.now();
    } catch (error) {
      this.#failure = { error };
      clearInterval(this.#timer);
      this.#letGo();
    }
    if (this.#ring === undefined) clearInterval(this.#timer);
  }

  #isReplaced(): boolean {
    const found = this.#find();
    found?.maps.close();
    return found?.programId !== this.#programId;
  }

  /** Arms what is in force, if anything is. */
  #take(): void {
    const found = this.#find();
    if (found === undefined) return;
    try {
      const ring = found.maps.open();
      try {
        ring.arm(this.#filter!);
      } catch (error) {
        ring.close();
        throw error;
      }
      this.#ring = ring;
      this.#programId = found.programId;
    } finally {
      found.maps.close();
    }
  }

  /** Keeps what is in the ring for the next read. */
  #letGo(): void {
    const ring = this.#ring;
    if (ring === undefined) return;
    ring.disarm();
    for (;;) {
      const records = this.#poll();
      if (records.length === 0) break;
      this.#rest.push(...records);
    }
    this.#lostBefore += ring.lost();
    ring.close();
    this.#ring = undefined;
  }
}
