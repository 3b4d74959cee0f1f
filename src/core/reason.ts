/** Why something failed, in words: ENOENT or ECONNREFUSED says little to most readers. */
import type { AddressInfo } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { printable } from './printable.js';

const WORDS = new Map([...getSystemErrorMap().values()]);
/** Where the words that come with Node would mislead. */
const OWN_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EISDIR: 'it is a directory',
  EPIPE: 'its reader has gone',
};

/** Of a message that is not the system's: it may repeat what another machine wrote. */
const MESSAGE_CHARS_MAX = 1024;

/** One line, as people may see it, without a full stop; of an error of the system in words, of another one its message. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error), MESSAGE_CHARS_MAX);
  const { code = '', errno } = error as NodeJS.ErrnoException;
  const words = errno === undefined ? undefined : (OWN_WORDS[code] ?? WORDS.get(code));
  return words ?? printable(error.message.split('\n', 1)[0], MESSAGE_CHARS_MAX);
}

/** The same with the address that was called, `connection refused (10.1.0.11:80)`, for who has not named it. */
export function reasonWithPlace(error: unknown): string {
  const { errno, address, port } = error as Partial<NodeJS.ErrnoException & AddressInfo>;
  if (errno === undefined || address === undefined || port === undefined) return reasonOf(error);
  return `${reasonOf(error)} (${address.includes(':') ? `[${address}]` : address}:${port})`;
}
