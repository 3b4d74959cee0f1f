/**
 * An interface's pins are in `<bpffs>/<owner>/<network namespace>/<interface>`. A BPF file system keeps them until they are
 * unpinned or it is unmounted. Several network namespaces may share it and use the same interface names, so the path has the
 * namespace's inode number.
 */
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../core/directory.js';
import { AnyhopError } from '../core/errors.js';
import { BPFFS_DEFAULT } from '../core/limits.js';
import { reasonOf } from '../core/reason.js';
import { type RunTool, requireTool, runTool } from '../core/tool.js';

/** BPF_FS_MAGIC of linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;

/** An interface, and where its pins are. */
export interface Place {
  readonly interface: string;
  /** A directory where a BPF file system is or can be mounted, or a directory in one. */
  readonly bpffs: string;
}

/** The owner's folder: pins of a forwarder or of an agent. */
export type PinOwner = 'anyhop' | 'anyhop-agent';

/** The config field for the BPF file system. */
const FIELD: Readonly<Record<PinOwner, string>> = { anyhop: 'node.bpffs', 'anyhop-agent': 'agent.bpffs' };

/** A BPF file system allows no dots in names. Interface names have no colons. */
export function pinDirectory(bpffs: string, interfaceName: string, owner: PinOwner = 'anyhop'): string {
  return join(bpffs, owner, String(statSync('/proc/self/ns/net').ino), interfaceName.replaceAll('.', ':'));
}

/** Whether a path is in a mounted BPF file system. */
export function isBpffs(path: string, owner: PinOwner = 'anyhop'): boolean {
  try {
    return statfsSync(path).type >>> 0 === BPF_FS_MAGIC;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw cannotUse(path, owner, error as Error);
  }
}

/**
 * Mounts a BPF file system at the usual path if there is none. At any other path, users mount it: a mistyped path would hide the
 * pins.
 * @throws AnyhopError ERR_BPF that says what to do
 */
export async function requireBpffs(
  bpffs: string,
  owner: PinOwner = 'anyhop',
  run: RunTool = runTool,
): Promise<void> {
  if (isBpffs(bpffs, owner)) return requireAccess(bpffs, owner);
  if (process.geteuid?.() !== 0 || bpffs !== BPFFS_DEFAULT) {
    throw new AnyhopError('ERR_BPF', `no BPF file system is mounted at ${bpffs}`, {
      hint: `If ${bpffs} is right, as root: mkdir -p ${bpffs} && mount -t bpf bpf ${bpffs} && ${ownerCommand(bpffs, owner)}`,
    });
  }
  try {
    makeDirectory(bpffs, 0o755);
    if (readdirSync(bpffs).length > 0) {
      throw new Error('the directory is not empty, and a mount would hide its files');
    }
    await requireTool(run, 'mount', ['-t', 'bpf', 'bpf', bpffs]);
  } catch (error) {
    throw cannotUse(bpffs, owner, error as Error);
  }
}

/**
 * Whether pins end with this process: the file system is mounted only in this process's mount namespace, which none of its
 * ancestors is in. `ip netns exec` makes such a namespace, and so do services with private mounts.
 */
export function endsWithProcess(bpffs: string): boolean {
  const own = mountNamespace('self');
  const { dev } = statSync(bpffs);
  const outside = ancestors().filter((pid) => mountNamespace(pid) !== own);
  return outside.length > 0 && !outside.some((pid) => deviceOf(`/proc/${pid}/root${bpffs}`) === dev);
}

/** The ancestors of this process whose mount namespaces it may see. */
function ancestors(): string[] {
  const found: string[] = [];
  for (let pid = String(process.ppid); pid !== '0'; ) {
    if (mountNamespace(pid) !== undefined) found.push(pid);
    try {
      // The program's name, in parentheses, may contain anything; the parent is the second field after it.
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      pid = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    } catch {
      break; // it ended meanwhile
    }
  }
  return found;
}

function deviceOf(path: string): number | undefined {
  try {
    return statSync(path).dev;
  } catch {
    return undefined;
  }
}

function requireAccess(bpffs: string, owner: PinOwner): void {
  const own = join(bpffs, owner);
  try {
    accessSync(existsSync(own) ? own : bpffs, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw cannotUse(bpffs, owner, error as Error);
  }
}

/** @throws AnyhopError ERR_BPF that says how this user gets write access */
export function makePinDirectory(path: string, bpffs: string, owner: PinOwner = 'anyhop'): void {
  try {
    makeDirectory(path, 0o700);
  } catch (error) {
    throw cannotUse(bpffs, owner, error as Error);
  }
}

/** Removes an interface's directory, and empty parents. */
export function removePinDirectory(path: string): void {
  for (const directory of [path, dirname(path), dirname(dirname(path))]) {
    try {
      if (statSync(directory).uid !== process.geteuid?.()) return; // made for another user
      rmdirSync(directory);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // There are other pins, or root made the directory for this user.
      if (code === 'ENOTEMPTY' || code === 'EACCES' || code === 'EPERM') return;
      if (code !== 'ENOENT') throw error;
    }
  }
}

/** Names in a directory; none if it does not exist. @throws AnyhopError ERR_BPF without permission */
export function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new AnyhopError('ERR_BPF', message, {
      hint: 'Pins belong to the user whose anyhop made them: run it as that user, or as root.',
      cause: error,
    });
  }
}

function cannotUse(bpffs: string, owner: PinOwner, cause: Error): AnyhopError {
  return new AnyhopError('ERR_BPF', `the BPF file system at ${bpffs} cannot be used: ${reasonOf(cause)}`, {
    hint: isPermission(cause)
      ? `As root: ${ownerCommand(bpffs, owner)}`
      : `Mount one and name it by ${FIELD[owner]}: mkdir -p /run/anyhop/bpf && mount -t bpf bpf /run/anyhop/bpf`,
    cause,
  });
}

function isPermission(cause: Error): boolean {
  return ['EACCES', 'EPERM'].includes((cause as NodeJS.ErrnoException).code ?? '');
}

/** Root's BPF file systems are closed to other users, but root can give away a directory in one. */
function ownerCommand(bpffs: string, owner: PinOwner): string {
  const user = process.geteuid?.() ?? 0;
  return `chmod o+x ${bpffs} && mkdir -p ${join(bpffs, owner)} && chown ${user} ${join(bpffs, owner)}`;
}

function mountNamespace(process: string): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/mnt`);
  } catch {
    return undefined; // another user's
  }
}
