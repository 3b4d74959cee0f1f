/**
 * The prefixes that `anyhop defend block`, `allow` and `unblock` are given: as words, and one a line on standard input for `-`. All of
 * them are read, and every mistake is told, before the node hears of any.
 */
import { text as readAll } from 'node:stream/consumers';
import { PREFIX_EXPECTED } from '../config/name-fields.js';
import { quote } from '../config/path.js';
import { AnyhopError } from '../core/errors.js';
import { amount } from '../core/figures.js';
import { type IpPrefix, parseAddress, parsePrefix, prefixAround } from '../packet/address.js';

/** Of mistakes that are told one by one. */
const TOLD_MAX = 20;

interface Given {
  readonly text: string;
  /** `standard input:3`; undefined for a word of the command line. */
  readonly place: string | undefined;
}

/** Each once, in the order given. @throws AnyhopError ERR_USAGE that names every word that is no prefix, with its place */
export async function readPrefixes(
  words: readonly string[],
  input: NodeJS.ReadableStream,
): Promise<IpPrefix[]> {
  const given = await all(words, input);
  const found = new Map<string, IpPrefix>();
  const mistakes: string[] = [];
  for (const { text, place } of given) {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) found.set(prefix.text, prefix);
    else mistakes.push(`${place === undefined ? '' : `${place}: `}${quote(text)} is no prefix${meant(text)}`);
  }
  if (mistakes.length > 0) throw wrong(mistakes);
  if (found.size === 0)
    throw new AnyhopError('ERR_USAGE', 'standard input has no prefix', {
      hint: `One a line: ${PREFIX_EXPECTED}.`,
    });
  return [...found.values()];
}

async function all(words: readonly string[], input: NodeJS.ReadableStream): Promise<Given[]> {
  const given: Given[] = [];
  for (const word of new Set(words)) {
    if (word === '-') given.push(...linesOf(await readAll(input)));
    else given.push({ text: word, place: undefined });
  }
  return given;
}

/** Without comments and empty lines. */
function linesOf(text: string): Given[] {
  return text.split('\n').flatMap((line, i) => {
    const prefix = line.replace(/#.*/, '').trim();
    return prefix === '' ? [] : [{ text: prefix, place: `standard input:${i + 1}` }];
  });
}

/** A word whose only mistake is that bits behind its length are set. */
function meant(text: string): string {
  const [, host = '', length = ''] = /^(.+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseAddress(host);
  if (address === undefined || Number(length) > address.bytes.length * 8) return '';
  return `: bits are set behind its length; the prefix is ${prefixAround(address, Number(length)).text}`;
}

function wrong(mistakes: readonly string[]): AnyhopError {
  const [first, ...more] = mistakes;
  if (more.length === 0)
    return new AnyhopError('ERR_USAGE', first!, { hint: `Expected ${PREFIX_EXPECTED}.` });
  const left = mistakes.length - TOLD_MAX;
  const told = mistakes.slice(0, TOLD_MAX).join('\n');
  return new AnyhopError(
    'ERR_USAGE',
    `${amount(mistakes.length, 'word')} are no prefixes; nothing was changed\n${told}${left > 0 ? `\nand ${left} more` : ''}`,
    { hint: `Expected ${PREFIX_EXPECTED}.` },
  );
}
