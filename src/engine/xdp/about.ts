/**
 * A set of pinned maps describes itself, so that another process, of this version or another, knows what it finds: one
 * JSON text in a map of its own.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AnyhopError } from '../../core/errors.js';
import { L, LAYOUT_DIGEST, VERDICTS } from '../../core/layout.gen.js';
import { VERSION } from '../../core/version.js';
import { bpfObjectPath } from '../../ffi/library.js';
import { MappedArray } from '../../ffi/map.js';
import type { DriverStatistics } from '../../underlay/driver-statistics.js';
import type { ForwardSizes } from '../maps/sizes.js';

const ABOUT_BYTES = 4096;

export interface About {
  /** Of anyhop, for people. */
  readonly version: string;
  /** SHA-256 of the layouts (src/core/layout.gen.ts), and of the object file of the program. */
  readonly layout: string;
  readonly program: string;
  /** What another version looks at before it reads on: the image's, and where a block of counters has its first service. */
  readonly imageVersion: number;
  readonly counterBytes: number;
  /** Absent for version 1, which did not say so. */
  readonly flowHashVersion?: number | undefined;
  readonly sizes: ForwardSizes;
  /** The verdicts' names, by number. */
  readonly verdicts: readonly string[];
  /** The set that this one replaced, and whose counters go into its own. */
  readonly replaced: number | undefined;
  /** The driver's statistics when the interface got its program. */
  readonly baseline: DriverStatistics;
}

export type Origin = Pick<About, 'sizes' | 'replaced' | 'baseline'>;

/** Of the program of this version. */
export function describeThis(origin: Origin): About {
  return {
    version: VERSION,
    layout: LAYOUT_DIGEST,
    program: programDigest(),
    imageVersion: L.IMAGE_VERSION,
    flowHashVersion: L.FLOW_HASH_VERSION,
    counterBytes: L.SIZEOF_COUNTERS,
    verdicts: VERDICTS.map(({ name }) => name),
    ...origin,
  };
}

/** Whether this version of the program and of its maps is the same. */
export function isThis(about: About): boolean {
  return about.layout === LAYOUT_DIGEST && about.program === programDigest();
}

/** The version of the flow hash of a program that is in force. */
export function flowHashVersion(about: About): number {
  return about.flowHashVersion ?? 1;
}

/** A map that holds the text; pin and close it. */
export function writeAbout(about: About): MappedArray {
  const text = Buffer.from(JSON.stringify(about));
  if (text.length >= ABOUT_BYTES) throw new RangeError('the description of a set of maps is too long');
  const map = MappedArray.create('anyhop_about', ABOUT_BYTES);
  new Uint8Array(map.memory).set(text);
  return map;
}

/** @throws AnyhopError ERR_BPF when there is none, or it cannot be understood */
export function readAbout(path: string): About {
  const map = MappedArray.pinned(path);
  try {
    const bytes = Buffer.from(map.memory);
    const about: About = JSON.parse(bytes.toString('utf8', 0, bytes.indexOf(0)));
    const { sizes, verdicts, baseline } = about;
    const numbers = [
      sizes.imageBytes,
      sizes.services,
      sizes.backends,
      about.imageVersion,
      about.counterBytes,
    ];
    if (!numbers.every(Number.isSafeInteger) || !Array.isArray(verdicts))
      throw new TypeError('fields are missing');
    return {
      ...about,
      baseline: { sendFailed: baseline.sendFailed ?? Number.NaN, missed: baseline.missed ?? Number.NaN },
    };
  } catch (cause) {
    if (cause instanceof AnyhopError) throw cause;
    throw new AnyhopError('ERR_BPF', `${path} was written by a version that this one does not know`, {
      cause,
    });
  } finally {
    map.close();
  }
}

let digest: string | undefined;

function programDigest(): string {
  digest ??= createHash('sha256')
    .update(readFileSync(bpfObjectPath('forward')))
    .digest('hex');
  return digest;
}
