/** Certificates that have expired or expire soon: found on each look, and told at once, then once a day. Pure. */
import { basename } from 'node:path';
import type { LoadedCertificate } from '../config/l7/certificates.js';
import { CERTIFICATE_EXPIRES_SOON_MS } from '../core/limits.js';
import type { Certificates } from './certificates.js';

const DAY_MS = 86_400_000;

export type Expiry = 'expired' | 'soon';

export interface Expiring {
  readonly frontend: string;
  readonly file: string;
  readonly notAfter: Date;
  readonly expiry: Expiry;
}

/** Undefined: it is good for longer. */
export function expiryOf({ notAfter }: Pick<LoadedCertificate, 'notAfter'>, now: Date): Expiry | undefined {
  const leftMs = notAfter.getTime() - now.getTime();
  if (leftMs > CERTIFICATE_EXPIRES_SOON_MS) return undefined;
  return leftMs <= 0 ? 'expired' : 'soon';
}

/** In the order of frontends, then of names. */
export function expiring(certificates: Certificates, now: Date): Expiring[] {
  return [...certificates].flatMap(([frontend, list]) =>
    list.flatMap(({ path: file, notAfter }) => {
      const expiry = expiryOf({ notAfter }, now);
      return expiry === undefined ? [] : [{ frontend, file, notAfter, expiry }];
    }),
  );
}

/** `shop.pem of web expires on 2027-01-03` */
export function sentenceOf({ frontend, file, notAfter, expiry }: Expiring): string {
  const day = notAfter.toISOString().slice(0, 10);
  return expiry === 'expired'
    ? `${basename(file)} of ${frontend} has expired on ${day}: clients refuse it`
    : `${basename(file)} of ${frontend} expires on ${day}`;
}

/** Which of them are to be told now. */
export class ExpiryReminder {
  /** When each was told last. */
  readonly #toldMs = new Map<string, number>();

  due(found: readonly Expiring[], now: Date): Expiring[] {
    const keys = new Set(found.map(keyOf));
    for (const key of this.#toldMs.keys()) if (!keys.has(key)) this.#toldMs.delete(key);
    return found.filter((one) => {
      const told = this.#toldMs.get(keyOf(one));
      if (told !== undefined && Math.abs(now.getTime() - told) < DAY_MS) return false;
      this.#toldMs.set(keyOf(one), now.getTime());
      return true;
    });
  }
}

function keyOf({ frontend, file, notAfter, expiry }: Expiring): string {
  return JSON.stringify([frontend, file, notAfter, expiry]);
}
