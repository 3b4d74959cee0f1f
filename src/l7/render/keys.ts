/**
 * Keys of the layer-7 tier, each derived by HKDF-SHA256 (RFC 5869; no salt) with an info text of its own:
 *
 *   anyhop l7 v1                           from the fleet's secret: the subkey that proxy hosts get
 *   anyhop l7-cookie v1 UPSTREAM           from the subkey: names servers in sticky cookies
 *   anyhop l7-ticket v1 WHOSE HOUR         from the subkey: encrypts TLS session tickets in one hour; WHOSE is the frontend, and
 *                                          behind it the digest of the authorities of its clients, where it has some
 *
 * A proxy host that has been broken into gives away the subkey, and with it no flow hash: that key follows from the fleet's
 * secret in another way.
 */
import { createHash, hkdfSync } from 'node:crypto';
import type { L7Frontend } from '../../config/l7/types.js';

const KEY_BYTES = 32;
/** HAProxy's size for AES-256: a name of 16 bytes, 32 for the HMAC and 32 for the cipher. */
const TICKET_KEY_BYTES = 80;
const HOUR_MS = 3_600_000;

/** The subkey of the tier, 32 bytes. @param secret of the fleet */
export function deriveL7Key(secret: Uint8Array): Uint8Array {
  return derive(secret, 'anyhop l7 v1', KEY_BYTES);
}

/** The key of an upstream's sticky cookies, in hexadecimal digits. @param key the subkey */
export function cookieKey(key: Uint8Array, upstream: string): string {
  return Buffer.from(derive(key, `anyhop l7-cookie v1 ${upstream}`, KEY_BYTES)).toString('hex');
}

/** Hours since 1970: the number of the ticket key that encrypts. */
export function ticketHour(now: Date): number {
  return Math.floor(now.getTime() / HOUR_MS);
}

/**
 * Whose tickets: those of one frontend, and of the authorities that it asks of its clients. Who resumes a session is not asked for a
 * certificate, so a session from before these authorities must not be resumed.
 */
export function ticketsOf({ name, clientsCa }: Pick<L7Frontend, 'name' | 'clientsCa'>): string {
  if (clientsCa === undefined) return name;
  return `${name} ${createHash('sha256').update(clientsCa.pem.reveal()).digest('hex')}`;
}

/** The ticket key of one hour in base64, as HAProxy reads it. @param key the subkey @param whose by `ticketsOf` */
export function ticketKey(key: Uint8Array, whose: string, hour: number): string {
  const info = `anyhop l7-ticket v1 ${whose} ${hour}`;
  return Buffer.from(derive(key, info, TICKET_KEY_BYTES)).toString('base64');
}

/**
 * The three ticket keys in force, in HAProxy's order: the last but one encrypts, all decrypt. The first opens tickets of the
 * last hour. The last opens tickets of a proxy host whose clock is ahead, and of all after the next rotation.
 */
export function ticketKeys(key: Uint8Array, whose: string, now: Date): [string, string, string] {
  const hour = ticketHour(now);
  return [hour - 1, hour, hour + 1].map((one) => ticketKey(key, whose, one)) as [string, string, string];
}

function derive(key: Uint8Array, info: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, new Uint8Array(0), info, bytes));
}
