/** What the engine `xdp` leaves in force when its process ends: found by other engines, removed by `anyhop stop`. */
import { existsSync } from 'node:fs';
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { attachedXdp } from '../../ffi/bpf.js';
import { findAttachment, linkPath } from '../../pins/attachment.js';
import { type Place, pinDirectory, removePinDirectory } from '../../pins/directory.js';
import { removeLeft } from '../../pins/leftover.js';
import { readLinks } from '../../underlay/link.js';
import type { LeftBehind, Removed } from '../contract.js';
import { FORWARD_PROGRAM, requireNoProgram } from '../requirements.js';
import { detach, findSet, removeStale } from './attachment.js';

export const xdpLeft: LeftBehind = { requireNone, remove };

async function requireNone({ bpffs, interface: name }: Place): Promise<void> {
  const isPinned = existsSync(linkPath(pinDirectory(bpffs, name)));
  if (!isPinned && !(await isForwarding(name))) return;
  throw new AnyhopError('ERR_INTERFACE', `the program of the engine xdp is still on ${name}`, {
    hint: `End it first: anyhop stop --interface ${name} --bpffs ${isPinned ? bpffs : 'DIRECTORY, the one of that run'}`,
  });
}

/** Wherever its pins are. Where the native library cannot be used, nobody can have attached it. */
async function isForwarding(name: string): Promise<boolean> {
  const link = (await readLinks()).get(name);
  try {
    return link !== undefined && attachedXdp(link.index)?.name === FORWARD_PROGRAM;
  } catch (error) {
    if (error instanceof AnyhopError && error.code === 'ERR_NATIVE') return false;
    throw error;
  }
}

function remove(place: Place, log: Logger): Promise<Removed | undefined> {
  return removeLeft(place, 'anyhop', 'anyhop stop', (directory, link) => {
    const attachment = directory && link && findAttachment(directory, link.index);
    if (!attachment) {
      if (link !== undefined) requireNoProgram(link);
      if (directory === undefined || !removeStale(directory)) return undefined;
      removePinDirectory(directory);
      return { attached: undefined };
    }
    const set = findSet(directory, attachment, log);
    const generation = set?.maps.image()?.generation;
    set?.close();
    const { mode, programId } = attachment;
    detach(attachment, directory);
    removePinDirectory(directory);
    return { attached: { interface: link.name, mode, programId, generation } };
  });
}
