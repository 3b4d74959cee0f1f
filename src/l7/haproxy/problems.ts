/**
 * What HAProxy says about a config, as problems with their places in anyhop's own config.
 *
 *     [ALERT]    (8374) : config : parsing [/run/anyhop/l7/g3/haproxy.cfg:10] : 'bind' ... : unable to stat ...
 *     [WARNING]  (8379) : config : missing timeouts for frontend 'f_web'.
 *        | While not properly invalid, ...                                      part of the message before it
 *
 * A message names a line, or a section and maybe a server in it, or nothing at all.
 */
import { dirname } from 'node:path';
import type { FieldPath } from '../../config/path.js';
import { HAPROXY_MESSAGE_CHARS_MAX, HAPROXY_PROBLEMS_MAX } from '../../core/limits.js';
import { printable } from '../../core/printable.js';
import { fieldOfFile } from '../render/file-fields.js';
import type { RenderedLine } from '../render/rendering.js';

export interface HaproxyProblem {
  readonly level: 'error' | 'warning';
  /** The field of anyhop's config; empty when HAProxy names no place. */
  readonly at: FieldPath;
  /** One printable line, of bounded length, without the place. */
  readonly message: string;
}

/** One message of HAProxy, on one line. */
export interface HaproxyMessage {
  readonly level: 'ALERT' | 'WARNING' | 'NOTICE' | 'DIAG';
  readonly pid: number;
  readonly text: string;
}

const MESSAGE = /^\[(ALERT|WARNING|NOTICE|DIAG)\] +\((\d{1,10})\) : (.*)$/;
const CONTINUED = /^ +\| (.*)$/;
/** They say only that there were others. */
const SUMMARY =
  /^(?:Error\(s\) found in configuration file|Fatal errors found in configuration|Loading failure!|.* Some protocols failed to start)/;
const SECTION = /\b(?:proxy|frontend|backend|listen|peers|userlist|resolvers|cache)(?: section)? '([^']+)'/i;
const SERVER = /\bserver '(?:([^'/]+)\/)?([^'/]+)'/;
const HEADER = /^(?:frontend|backend|listen|peers|userlist|resolvers|cache) +(\S+)/;

/** One message; undefined for a line that begins none. */
export function readMessage(line: string): HaproxyMessage | undefined {
  const match = MESSAGE.exec(line);
  if (match === null) return undefined;
  const [, level, pid, text] = match;
  return { level: level as HaproxyMessage['level'], pid: Number(pid), text: text!.trim() };
}

/** The messages of some output, those over several lines joined. Other lines are left out. */
export function readMessages(output: string): HaproxyMessage[] {
  const found: HaproxyMessage[] = [];
  for (const line of output.split('\n')) {
    const message = readMessage(line);
    const more = CONTINUED.exec(line)?.[1];
    const last = found.at(-1);
    if (message !== undefined) found.push(message);
    else if (more !== undefined && last !== undefined)
      found[found.length - 1] = { ...last, text: `${last.text} ${more.trim()}` };
  }
  return found;
}

/**
 * Problems in the order in which HAProxy reports them, each once, errors and warnings.
 * @param file the path of haproxy.cfg by which HAProxy read it
 */
export function problemsIn(
  messages: readonly HaproxyMessage[],
  file: string,
  lines: readonly RenderedLine[],
): HaproxyProblem[] {
  const found = new Map<string, HaproxyProblem>();
  for (const { level, text } of messages) {
    const bare = text.replace(/^config : /, '');
    if ((level !== 'ALERT' && level !== 'WARNING') || SUMMARY.test(bare)) continue;
    const problem: HaproxyProblem = {
      level: level === 'ALERT' ? 'error' : 'warning',
      at: placeOf(bare, file, lines),
      message: printable(withoutPlace(bare, file), HAPROXY_MESSAGE_CHARS_MAX),
    };
    found.set(JSON.stringify(problem), problem);
    if (found.size === HAPROXY_PROBLEMS_MAX) break;
  }
  return [...found.values()];
}

function placeOf(text: string, file: string, lines: readonly RenderedLine[]): FieldPath {
  const field = fieldOfFileIn(text, file);
  if (field !== undefined) return field;
  const number = lineNumberIn(text, file) ?? namedLine(text, lines);
  return number === undefined ? [] : (lines[number - 1]?.at ?? []);
}

/** The field behind the last file of the generation that a message names: the one that the others lead to. */
function fieldOfFileIn(text: string, file: string): FieldPath | undefined {
  const paths = text.split(`${dirname(file)}/`).slice(1);
  return paths
    .map((rest) => fieldOfFile(/^[A-Za-z0-9._/-]*/.exec(rest)![0].replace(/\.$/, '')))
    .findLast((field) => field !== undefined);
}

function lineNumberIn(text: string, file: string): number | undefined {
  const start = text.indexOf(`${file}:`);
  const digits = start < 0 ? null : /^\d{1,9}/.exec(text.slice(start + file.length + 1));
  return digits === null ? undefined : Number(digits[0]);
}

/** The line of a server, or the first one of a section, that a message names in quotes. */
function namedLine(text: string, lines: readonly RenderedLine[]): number | undefined {
  const [, inSection, server] = SERVER.exec(text) ?? [];
  const section = inSection ?? SECTION.exec(text)?.[1];
  if (section === undefined) return undefined;
  const first = lines.findIndex((line) => HEADER.exec(line.text)?.[1] === section);
  if (first < 0) return undefined;
  if (server === undefined) return first + 1;
  for (let i = first + 1; i < lines.length && !HEADER.test(lines[i]!.text); i++) {
    const [keyword, name] = lines[i]!.text.trim().split(/ +/);
    if (keyword === 'server' && name === server) return i + 1;
  }
  return first + 1;
}

/** The place is said by `at`; another line that a message mentions keeps the file's name. */
function withoutPlace(text: string, file: string): string {
  const at = text.indexOf(`[${file}:`);
  const end = at < 0 ? -1 : text.indexOf(']', at);
  if (end < 0) return withoutDirectory(text, file);
  const before = text.slice(0, at).replace(/parsing $/i, '');
  const after = text.slice(end + 1).replace(before === '' ? /^ ?: */ : /^ */, '');
  return withoutDirectory(`${before}${after}`, file);
}

/** Files of the generation by their names in it. */
function withoutDirectory(text: string, file: string): string {
  return text.replaceAll(`${dirname(file)}/`, '');
}
