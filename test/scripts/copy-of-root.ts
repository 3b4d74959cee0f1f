/**
 * A throw-away copy of this machine's file system, in which a test may install packages: an overlay in memory, in a mount
 * namespace of its own, that vanishes with the script that runs in it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../scripts/lab/command.js';

const TIMEOUT_MS = 120_000;

/** $0 is an empty directory, $1 a directory whose content the copy has as /given, $2 the script. */
const ENTER = `
mount -t tmpfs tmpfs "$0"
mkdir -p "$0/up" "$0/work" "$0/root"
[ -z "$1" ] || cp -r "$1" "$0/up/given"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/up,workdir=$0/work" "$0/root"
mount --rbind /dev "$0/root/dev"
mount -t proc proc "$0/root/proc"
exec chroot "$0/root" sh -euc "$2"
`;

/** Runs a script of `sh` to its end in a copy that has the content of `directory` as /given; resolves to its standard output. */
export async function inCopyOfRoot(script: string, directory = ''): Promise<string> {
  return withPlace((place) => run(command(place, directory, script), { timeoutMs: TIMEOUT_MS }));
}

/** Why there can be no copy here, for a test's `skip`; false when there can. */
export function missingForCopyOfRoot(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const place = mkdtempSync(join(tmpdir(), 'ah-copy-'));
  const [program = '', ...args] = command(place, '', 'true');
  const { status } = spawnSync(program, args, { stdio: 'ignore' });
  rmSync(place, { recursive: true });
  return status !== 0 && 'needs overlayfs and a chroot';
}

function command(place: string, directory: string, script: string): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', ENTER, place, directory, script];
}

async function withPlace<T>(work: (place: string) => Promise<T>): Promise<T> {
  const place = mkdtempSync(join(tmpdir(), 'ah-copy-'));
  try {
    return await work(place);
  } finally {
    rmSync(place, { recursive: true });
  }
}
