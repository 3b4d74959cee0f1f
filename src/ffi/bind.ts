/** Binds a socket of another library (native/lib/bind.c). */
import { constants } from 'node:os';
import { AnyhopError } from '../core/errors.js';
import { anyhopLibrary } from './library.js';

/**
 * @param cookie the socket's SO_COOKIE, 8 bytes
 * @param address 4 or 16 bytes
 * @returns false when the address is IPv4 and not this host's
 * @throws AnyhopError ERR_NATIVE when it cannot be bound for another reason
 */
export function bindSocket(cookie: Buffer, address: Uint8Array): boolean {
  const bytes = Buffer.from(address);
  const result = anyhopLibrary.attempt('anyhop_bind', cookie, bytes, bytes.length);
  if (result === 0) return true;
  if (result === -constants.errno.EADDRNOTAVAIL) return false;
  throw new AnyhopError('ERR_NATIVE', anyhopLibrary.error());
}
