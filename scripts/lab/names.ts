/**
 * What a lab leaves in the system carries the lab's name: `ah-<pid>-lab<n>` of the process that made it. Several labs
 * can thus live side by side, and what a killed process left behind is known by its dead pid and removed by the next lab.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** File systems that a lab mounts in its temporary directory (resources.ts), each below its own name. */
const MOUNT_POINTS = ['bpf', 'tmpfs'] as const;
export type MountPoint = (typeof MOUNT_POINTS)[number];

const NETNS_DIRECTORY = '/run/netns';
const LAB_NAME = /^ah-(\d+)-lab\d+-/;
let labs = 0;

/** A name that no other lab has; namespaces and the temporary directory append `-<role>` to it. */
export function newLabName(): string {
  labs += 1;
  return `ah-${process.pid}-lab${labs}`;
}

/** Removes namespaces (with the processes in them) and temporary directories of labs whose process is gone. */
export function removeStaleLabs(): void {
  for (const name of stale(NETNS_DIRECTORY)) removeNamespace(name);
  for (const name of stale(tmpdir())) {
    for (const mount of MOUNT_POINTS)
      spawnSync('umount', ['-l', join(tmpdir(), name, mount)], { stdio: 'ignore' });
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** What there still is of a lab: namespaces, temporary directories, mounts, and processes whose command line names these. */
export function leftovers(labName: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const own = (text: string): boolean => text.includes(`${labName}-`);
  const commandLines = entries('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => `${pid}: ${commandLine(pid)}`);
  return [...entries(NETNS_DIRECTORY), ...entries(tmpdir()), ...mounts, ...commandLines].filter(own);
}

/**
 * Kills what runs in the namespace and removes it; links, routes, nftables and XDP programs go with it. Synchronous,
 * so that it also works while the process exits. A namespace that is not there, or that another lab removes at this
 * moment, is fine.
 */
export function removeNamespace(name: string): void {
  const there = (): boolean => entries(NETNS_DIRECTORY).includes(name);
  if (!there()) return;
  try {
    const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8', stdio: 'pipe' });
    for (const pid of pids.split('\n').filter(Boolean)) killIfThere(Number(pid));
    execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' });
  } catch (error) {
    if (there()) throw error;
  }
}

/** SIGKILL to a process that may have ended meanwhile. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function stale(directory: string): string[] {
  return entries(directory).filter((name) => {
    const pid = LAB_NAME.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // it ended meanwhile
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
