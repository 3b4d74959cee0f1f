/** Why something failed, in words: what the kernel calls ENOENT or ECONNREFUSED says little to whoever did not write the program. */
import type { AddressInfo } from 'node:net';
import { getSystemErrorMap } from 'node:util';

const WORDS = new Map([...getSystemErrorMap().values()]);
/** Where the words that come with Node would mislead. */
const OWN_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there',
  EISDIR: 'it is a directory',
  EPIPE: 'its reader has gone',
};

/** One line, without a full stop; of an error of the system in words, with the place that was called; of another one its message. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = '', errno, address, port } = error as NodeJS.ErrnoException & Partial<AddressInfo>;
  const words = errno === undefined ? undefined : (OWN_WORDS[code] ?? WORDS.get(code));
  if (words === undefined) return error.message.split('\n')[0];
  if (address === undefined || port === undefined) return words;
  return `${words} (${address.includes(':') ? `[${address}]` : address}:${port})`;
}
