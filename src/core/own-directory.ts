/**
 * Directories that are safe for a node's files: only its user and root can change them or replace them. In a directory that
 * others can write, a file that is made, read or renamed can be turned into any other file of the system.
 *
 *     /var/lib/anyhop     each directory of the path: owned by root or this user, and not writable for group or others;
 *                         above the last one, those with the sticky bit (/tmp) are fine: nobody can rename others' entries
 *     links in the path   owned by root or this user, and their targets judged in the same way
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { AnyhopError, type ErrorCode } from './errors.js';

const WRITABLE_FOR_OTHERS = 0o022;
const STICKY = 0o1000;
/** Linux follows as many. */
const LINKS_MAX = 40;

interface Fault {
  /** The unsafe directory or link. */
  readonly path: string;
  readonly why: string;
  readonly command: string;
}

/**
 * Accepts a missing directory that can be made safely.
 * @param field the config field that names another place
 * @throws AnyhopError of this code, with who can write where and what to do; NodeJS.ErrnoException when it cannot be examined
 */
export function requireOwnDirectory(path: string, code: ErrorCode, field?: string): void {
  const fault = faultOf(resolve(path));
  if (fault === undefined) return;
  const elsewhere = field === undefined ? '' : `, or name another directory by ${field}`;
  const which = fault.path === resolve(path) ? path : `${path} is not safe: ${fault.path}`;
  throw new AnyhopError(code, `${which} ${fault.why}`, { hint: `As root: ${fault.command}${elsewhere}.` });
}

function faultOf(path: string): Fault | undefined {
  let ahead = parts(path);
  let reached: string = sep;
  for (let links = 0; ; ) {
    const status = lookAt(reached);
    if (status === undefined) return undefined; // the node will make it, in a directory that was judged
    if (status.isSymbolicLink()) {
      if (isStrange(status)) return ofAnother(reached, status, '-h ');
      if (++links > LINKS_MAX) throw Object.assign(new Error(`too many links: ${path}`), { code: 'ELOOP' });
      const target = readlinkSync(reached);
      ahead = [...parts(target), ...ahead];
      reached = isAbsolute(target) ? sep : dirname(reached);
      continue;
    }
    if (isStrange(status)) return ofAnother(reached, status);
    const isAbove = ahead.length > 0;
    const mode = status.mode & 0o7777;
    if ((mode & WRITABLE_FOR_OTHERS) !== 0 && !(isAbove && (mode & STICKY) !== 0)) {
      const why = `can be written by others than its owner (mode ${mode.toString(8)})`;
      return { path: reached, why, command: `chmod go-w ${reached}` };
    }
    const [next, ...rest] = ahead;
    if (next === undefined) return undefined;
    reached = join(reached, next);
    ahead = rest;
  }
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isStrange({ uid }: Stats): boolean {
  return uid !== 0 && uid !== process.geteuid?.();
}

function ofAnother(path: string, { uid }: Stats, option = ''): Fault {
  const user = process.geteuid?.() ?? 0;
  return {
    path,
    why: `belongs to another user (${uid}) than the one that runs this (${user})`,
    command: `chown ${option}${user} ${path}`,
  };
}

function parts(path: string): string[] {
  return path.split(sep).filter(Boolean);
}
