/** Why something failed, in words: few readers know ENOENT or ECONNREFUSED. */
import type { AddressInfo } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { printable } from './printable.js';

const WORDS = new Map([...getSystemErrorMap().values()]);
/** Clearer than Node's own words. */
const OWN_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EISDIR: 'it is a directory',
  EPIPE: 'its reader has gone',
};

/** Limit of other errors' messages, which may repeat what another machine sent. */
const MESSAGE_CHARS_MAX = 1024;

/** One safe line without a full stop: words for an error of the system, the message of any other error. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error), MESSAGE_CHARS_MAX);
  const { code = '', errno } = error as NodeJS.ErrnoException;
  const words = errno === undefined ? undefined : (OWN_WORDS[code] ?? WORDS.get(code));
  return words ?? printable(error.message.split('\n', 1)[0], MESSAGE_CHARS_MAX);
}

/** The same with the called address, `connection refused (10.1.0.11:80)`, for callers that have not named it. */
export function reasonWithPlace(error: unknown): string {
  const { errno, address, port } = error as Partial<NodeJS.ErrnoException & AddressInfo>;
  if (errno === undefined || address === undefined || port === undefined) return reasonOf(error);
  return `${reasonOf(error)} (${address.includes(':') ? `[${address}]` : address}:${port})`;
}
