/**
 * The SYN cookie that a whole fleet shares: what it is, and what it is good for, is said in native/include/anyhop/cookie.h, which
 * this is the reference of.
 *
 * Whose handshake it is, is a message of words for the MAC. IPv4 has one word for each address, IPv6 four:
 *
 *   | client | VIP | ports | client's initial sequence number, raw | owner 2 | family, options, epoch, length 2 |
 */
import { L } from '../core/layout.gen.js';
import { sipHash } from '../hash/siphash.js';

/** Of the longest message, IPv6's. */
export const COOKIE_WORDS = 14;
/** Of an IPv4 and an IPv6 address. */
const ADDRESS_WORDS4 = 1;
const ADDRESS_WORDS6 = 4;
/** Bytes of the message, which SipHash wants to know. */
const LENGTH4 = 30;
const LENGTH6 = 54;

const mac = new Int32Array(2);

/** Puts all but the addresses into a message. `ports` and `isn` are raw words, `owner0` and `owner1` the halves of the owner. */
export function setCookieFlow(
  message: Int32Array,
  family: number,
  ports: number,
  isn: number,
  owner0: number,
  owner1: number,
): void {
  const at = 2 * (family === 4 ? ADDRESS_WORDS4 : ADDRESS_WORDS6);
  message[at] = ports;
  message[at + 1] = isn;
  message[at + 2] = owner0;
  message[at + 3] = owner1;
}

/**
 * The cookie for a message.
 *
 * @param words memory that has the key, four words, from index `key` on
 * @param options the cookie's low 7 bits (cookieOptions)
 * @returns an int32
 */
export function makeCookie(
  words: Int32Array,
  key: number,
  message: Int32Array,
  family: number,
  epoch: number,
  options: number,
): number {
  const tail = 4 + 2 * (family === 4 ? ADDRESS_WORDS4 : ADDRESS_WORDS6);
  message[tail] = (epoch << 16) | (options << 8) | family;
  message[tail + 1] = ((family === 4 ? LENGTH4 : LENGTH6) << 24) | (epoch >>> 16);
  sipHash(words, key, message, tail / 2 + 1, mac);
  return (mac[1] & (-1 << L.COOKIE_MAC_SHIFT)) | ((epoch & 3) << 7) | options;
}

/** Whether a cookie, of an acknowledgment the acknowledgment number less one, is good in an epoch. */
export function checkCookie(
  words: Int32Array,
  key: number,
  message: Int32Array,
  family: number,
  epoch: number,
  cookie: number,
): boolean {
  const newest = epoch + L.COOKIE_EPOCHS_AHEAD;
  const its = newest - ((newest - (cookie >>> 7)) & 3);
  return makeCookie(words, key, message, family, its, cookie & L.COOKIE_OPTIONS) === (cookie | 0);
}

/**
 * @param mss of the client; 0 when it names none
 * @param sack 1 or 0
 * @param wscale 0 to 14, or COOKIE_NO_WSCALE
 */
export function cookieOptions(mss: number, sack: number, wscale: number, family: number): number {
  let mssClass: number;
  if (family === 4) {
    mssClass = mss >= L.COOKIE_MSS4_3 ? 3 : mss >= L.COOKIE_MSS4_2 ? 2 : mss >= L.COOKIE_MSS4_1 ? 1 : 0;
  } else {
    mssClass = mss >= L.COOKIE_MSS6_3 ? 3 : mss >= L.COOKIE_MSS6_2 ? 2 : mss >= L.COOKIE_MSS6_1 ? 1 : 0;
  }
  return (mssClass << 5) | (sack << 4) | wscale;
}
