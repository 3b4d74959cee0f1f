/** The vectors of SipHash and of SYN cookies that every language reads. */
import { readFileSync } from 'node:fs';
import type { CookieFlow } from '../packets/cookie.js';

export interface CookieVector extends CookieFlow {
  readonly epoch: number;
  /** The client's; 0: it names none. */
  readonly mss: number;
  readonly sack: boolean;
  readonly wscale: number | null;
  readonly cookie: string;
}

export interface CookieVectors {
  readonly siphash: readonly string[];
  readonly secret: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly cookies: readonly CookieVector[];
}

export const COOKIE_VECTORS: CookieVectors = JSON.parse(readFileSync('test/vectors/syn-cookie.json', 'utf8'));
