/** SYN cookies for tests: of addresses and ports in words, by the program's reference, and as cases for the C side. */
import { COOKIE_WORDS, makeCookie, setCookieFlow } from '#anyhop/forward/cookie.js';
import { parseAddress } from '#anyhop/packet/address.js';

/** Whose handshake it is. */
export interface CookieFlow {
  readonly client: string;
  readonly clientPort: number;
  readonly vip: string;
  readonly port: number;
  /** The client's initial sequence number. */
  readonly isn: number;
  /** Underlay address of the backend. */
  readonly owner: string;
}

export const familyOf = ({ client }: CookieFlow): 4 | 6 => (client.includes(':') ? 6 : 4);

const bytesOf = (text: string): Uint8Array => {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`${text} is no address`);
  return address.bytes;
};

/** Eight bytes, as a MAC takes them. */
function ownerBytes(owner: string): Uint8Array {
  const bytes = bytesOf(owner);
  if (bytes.length === 4) return Uint8Array.of(...bytes, 0, 0, 0, 0);
  return bytes.slice(0, 8).map((byte, i) => byte ^ bytes[8 + i]);
}

/** The message that setCookieFlow fills in, for makeCookie and checkCookie. */
export function messageOf(flow: CookieFlow): Int32Array {
  const message = new Int32Array(COOKIE_WORDS);
  const bytes = new Uint8Array(message.buffer);
  const client = bytesOf(flow.client);
  bytes.set(client);
  bytes.set(bytesOf(flow.vip), client.length);
  const rest = new DataView(new ArrayBuffer(16));
  rest.setUint16(0, flow.clientPort);
  rest.setUint16(2, flow.port);
  rest.setUint32(4, flow.isn);
  new Uint8Array(rest.buffer).set(ownerBytes(flow.owner), 8);
  const word = (at: number): number => rest.getInt32(at, true);
  setCookieFlow(message, familyOf(flow), word(0), word(4), word(8), word(12));
  return message;
}

/** A key's four words. */
export function cookieKeyWords(key: Uint8Array): Int32Array {
  return new Int32Array(Uint8Array.from(key).buffer);
}

/** @param options the cookie's low 7 bits @returns the cookie, unsigned */
export function cookieOf(key: Uint8Array, flow: CookieFlow, epoch: number, options: number): number {
  return makeCookie(cookieKeyWords(key), 0, messageOf(flow), familyOf(flow), epoch, options) >>> 0;
}

/** Bytes of a struct anyhop_dev_cookie. */
export const CASE_BYTES = 80;

/** A case for anyhop_dev_cookies. `given`: options, or a cookie. */
export function writeCase(
  out: Buffer,
  at: number,
  key: Uint8Array,
  flow: CookieFlow,
  epoch: number,
  given: number,
): void {
  out.fill(0, at, at + CASE_BYTES);
  out.set(key, at);
  const client = bytesOf(flow.client);
  out.set(client, at + 16);
  out.set(bytesOf(flow.vip), at + 16 + client.length);
  out.set(ownerBytes(flow.owner), at + 48);
  out.writeUInt16BE(flow.clientPort, at + 56);
  out.writeUInt16BE(flow.port, at + 58);
  out.writeUInt32LE(flow.isn, at + 60);
  out.writeUInt32LE(familyOf(flow), at + 64);
  out.writeUInt32LE(epoch, at + 72);
  out.writeUInt32LE(given, at + 76);
}
