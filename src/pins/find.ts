/**
 * Finds the directory of pins of an interface, by its pinned link, since the interface may have been renamed. Also finds pins
 * without an interface: the kernel keeps pins when an interface or its network namespace is removed.
 */
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { XdpLink } from '../ffi/link.js';
import type { Link } from '../underlay/link.js';
import { isInCharge } from '../underlay/lock.js';
import { linkPath } from './attachment.js';
import { entries, isBpffs, type PinOwner, pinDirectory, removePinDirectory } from './directory.js';

/**
 * The directory of an interface: found by its index, or else a new one with its name. A renamed interface may still have the
 * directory of that name.
 */
export function directoryOf(
  bpffs: string,
  { name, index }: { readonly name: string; readonly index: number },
  owner: PinOwner = 'anyhop',
): string {
  const byName = pinDirectory(bpffs, name, owner);
  if (!isBpffs(bpffs, owner)) return byName;
  const all = entries(dirname(byName)).map((each) => join(dirname(byName), each));
  const found = all.find((directory) => linkedIndex(directory) === index);
  if (found !== undefined) return found;
  return (linkedIndex(byName) ?? 0) === 0 ? byName : `${byName}:${index}`;
}

/** Index of the interface that a pinned link is on; 0 when the interface is gone, undefined when no link is pinned. */
export function linkedIndex(directory: string): number | undefined {
  if (!entries(directory).includes('link')) return undefined;
  const link = XdpLink.pinned(linkPath(directory));
  try {
    return link.info().interfaceIndex;
  } finally {
    link.descriptor.close();
  }
}

/**
 * Removes the pins of interfaces that are gone, in all network namespaces. It skips a namespace in which another process of this
 * kind runs, which could be about to pin.
 * @param own directory of this process's interface
 */
export async function sweep(bpffs: string, own: string, owner: PinOwner, log: Logger): Promise<void> {
  const removed: string[] = [];
  const root = join(bpffs, owner);
  for (const namespace of entries(root).filter((name) => /^\d+$/.test(name))) {
    const dead = readdirSafely(join(root, namespace)).filter((path) => path !== own && isDead(path));
    if (dead.length === 0) continue;
    const others = await isInCharge(owner === 'anyhop' ? 'run' : 'agent', Number(namespace));
    if (others) continue;
    for (const path of dead) {
      rmSync(path, { recursive: true, force: true });
      removePinDirectory(path);
      removed.push(path);
    }
  }
  if (removed.length > 0) {
    const text = `removed the pins of interfaces that are gone: ${removed.join(', ')}`;
    log.info({ event: 'swept', directories: removed }, text);
  }
}

function readdirSafely(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return []; // another user's, or just removed
  }
}

function isDead(directory: string): boolean {
  try {
    return (linkedIndex(directory) ?? 0) === 0;
  } catch (error) {
    if (error instanceof AnyhopError) return false; // another user's
    throw error;
  }
}

/**
 * The interface with this name, or else the one that had it when its directory was made.
 * @returns no link when that interface is gone
 */
export function whatIsMeant(
  bpffs: string,
  name: string,
  links: ReadonlyMap<string, Link>,
  owner: PinOwner = 'anyhop',
): { readonly directory: string; readonly link: Link | undefined } {
  const link = links.get(name);
  if (link !== undefined) return { directory: directoryOf(bpffs, link, owner), link };
  const directory = pinDirectory(bpffs, name, owner);
  const index = isBpffs(bpffs, owner) ? linkedIndex(directory) : undefined;
  return { directory, link: [...links.values()].find((each) => each.index === index) };
}
