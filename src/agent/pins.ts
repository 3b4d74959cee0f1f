/**
 * What of an agent outlives it, in the interface's directory of a BPF file system:
 *
 *     <bpffs>/anyhop-agent/<inode of the network namespace>/<interface>/
 *         link                the BPF link: only its holder can decide what runs on the interface
 *         counters-<digest>   packets by verdict; the digest is that of the verdicts' names, so that no version counts on under
 *                             the numbers of another
 *         budget              what second chance may still send on
 *         capture-<digest>    how its packets are captured, and the ring that they come by (anyhop/capture.h); the digest is that of
 *         captured-<digest>   all layouts
 *         ingress, cookies-<digest>   of the program at tc ingress (cookies/ingress.ts)
 *         fleet               whom former configs had beside the present one (fleet-pin.ts)
 *
 * An agent can be killed at any moment. The next one relies only on the link; maps are pinned before a program that uses them is in
 * force, and unused ones are unpinned after that.
 */
import { createHash } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { AnyhopError } from '../core/errors.js';
import { AGENT_VERDICTS, LAYOUT_DIGEST } from '../core/layout.gen.js';
import type { BpfObject } from '../ffi/bpf.js';
import { Descriptor } from '../ffi/descriptor.js';
import { findAttachment } from '../pins/attachment.js';
import { CaptureMaps } from '../pins/capture-maps.js';
import { entries, isBpffs, removePinDirectory } from '../pins/directory.js';
import { directoryOf } from '../pins/find.js';
import { INGRESS_PINS } from './cookies/ingress.js';
import { FLEET_PIN } from './fleet-pin.js';
import { KEPT_MAPS, type KeptMaps, keptMapsOf } from './program.js';

export const AGENT_PINS = 'anyhop-agent';

const PIN = {
  counters: countersPin(AGENT_VERDICTS.map(({ name }) => name)),
  budget: 'budget',
  '.data.capture': `capture-${LAYOUT_DIGEST.slice(0, 16)}`,
  captured: `captured-${LAYOUT_DIGEST.slice(0, 16)}`,
} as const;

/** The name of the pin of counters by these verdicts, in this order. */
export function countersPin(verdicts: readonly string[]): string {
  return `counters-${createHash('sha256').update(verdicts.join()).digest('hex').slice(0, 16)}`;
}

/** The maps that a program on the interface may be using. Close them. */
export function openKeptMaps(directory: string): KeptMaps {
  const there = new Set(entries(directory));
  return Object.fromEntries(
    KEPT_MAPS.filter((map) => there.has(PIN[map])).map((map) => [
      map,
      Descriptor.pinned(join(directory, PIN[map])),
    ]),
  );
}

/** The maps by which the program's packets are captured; undefined when this version has pinned none. Close them. */
export function openCaptureMaps(directory: string): CaptureMaps | undefined {
  return CaptureMaps.pinned(directory, [PIN['.data.capture'], PIN.captured]);
}

/** Pins the maps that a program does not go on with, in the place of any that have their names. */
export function pinKeptMaps(directory: string, program: BpfObject): void {
  const there = new Set(entries(directory));
  const maps = keptMapsOf(program);
  try {
    for (const map of KEPT_MAPS) {
      if (program.reused.has(map)) continue;
      if (there.has(PIN[map])) unlinkSync(join(directory, PIN[map]));
      maps[map].pin(join(directory, PIN[map]));
    }
  } finally {
    closeMaps(maps);
  }
}

/** Pins again what somebody has removed of the maps. @returns whether something was gone */
export function keepMapsPinned(directory: string, program: BpfObject): boolean {
  const there = new Set(entries(directory));
  const gone = KEPT_MAPS.filter((map) => !there.has(PIN[map]));
  if (gone.length === 0) return false;
  const maps = keptMapsOf(program);
  try {
    for (const map of gone) maps[map].pin(join(directory, PIN[map]));
  } finally {
    closeMaps(maps);
  }
  return true;
}

export function closeMaps(maps: KeptMaps): void {
  for (const map of Object.values(maps)) map.close();
}

/** Unpins what another version has left, or this one no longer needs. */
export function removeOthers(directory: string, { ingress }: { readonly ingress: boolean }): void {
  const own = new Set<string>(['link', FLEET_PIN, ...Object.values(PIN), ...(ingress ? INGRESS_PINS : [])]);
  for (const name of entries(directory)) if (!own.has(name)) unlinkSync(join(directory, name));
}

/** Unpins all. @returns whether there was something */
export function unpinAll(directory: string): boolean {
  const names = entries(directory);
  for (const name of names) unlinkSync(join(directory, name));
  return names.length > 0;
}

/** The same, and removes the directory. */
export function removePins(directory: string): boolean {
  const hadPins = unpinAll(directory);
  removePinDirectory(directory);
  return hadPins;
}

/** Id of the program that an agent left on an interface by a pinned link; undefined when there is none, or it is another user's. */
export function pinnedProgram(
  bpffs: string,
  interfaceName: string,
  interfaceIndex: number,
): number | undefined {
  try {
    if (!isBpffs(bpffs, AGENT_PINS)) return undefined;
    const attachment = findAttachment(
      directoryOf(bpffs, { name: interfaceName, index: interfaceIndex }, AGENT_PINS),
      interfaceIndex,
    );
    attachment?.link.descriptor.close();
    return attachment?.programId;
  } catch (error) {
    if (error instanceof AnyhopError) return undefined;
    throw error;
  }
}
