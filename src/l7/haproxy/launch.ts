/**
 * How HAProxy is started: as an ordinary user that may bind ports below 1024 and nothing else, from the master on. HAProxy's own
 * `user` in the config would leave the master with root's capabilities.
 */
import { AnyhopError } from '../../core/errors.js';
import { findProgram } from '../../core/program.js';
import { LOCAL_PEER } from '../render/rendering.js';
import type { Identity } from './identity.js';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

const ONLY_BIND = '-all,+net_bind_service';

/**
 * The command that runs a program as HAProxy's user; the same command without such a user.
 * @param program a name or an absolute path
 * @throws AnyhopError ERR_TOOL when it is missing
 */
export function asUser(identity: Identity | undefined, program: string, args: readonly string[]): Command {
  const path = findProgram(program);
  if (path === undefined) {
    throw new AnyhopError('ERR_TOOL', `the program ${program} is missing`, {
      hint: 'Install it (Debian: apt-get install haproxy), and leave its own service off: systemctl disable --now haproxy',
    });
  }
  if (identity === undefined) return { program: path, args };
  const user = ['--reuid', String(identity.uid), '--regid', String(identity.gid), '--clear-groups'];
  const capabilities = ['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=${ONLY_BIND}`);
  return {
    program: 'setpriv',
    args: [...user, ...capabilities, '--no-new-privs', '--', path, ...args],
  };
}

/**
 * HAProxy in master-worker mode.
 * @param file what it reads at its start and at each reload
 * @param master path of its master CLI
 */
export function masterWorker(
  identity: Identity | undefined,
  program: string,
  file: string,
  master: string,
): Command {
  return asUser(identity, program, ['-W', '-S', masterOption(master), '-L', LOCAL_PEER, '-f', file]);
}

/** The argument of `-S`: only HAProxy's user and root may ask the master, and for anything. */
export function masterOption(master: string): string {
  return `${master},mode,600,level,admin`;
}
