/** What the engine `xdp` leaves in force when its process ends: found by other engines, removed by `anyhop stop`. */
import { existsSync } from 'node:fs';
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { attachedXdp } from '../../ffi/bpf.js';
import { findAttachment, linkPath } from '../../pins/attachment.js';
import { isBpffs, pinDirectory, removePinDirectory } from '../../pins/directory.js';
import { whatIsMeant } from '../../pins/find.js';
import { readLinks } from '../../underlay/link.js';
import { lockLeftovers } from '../../underlay/lock.js';
import type { LeftBehind, Place, Removed } from '../contract.js';
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

async function remove({ interface: name, bpffs }: Place, log: Logger): Promise<Removed | undefined> {
  const links = await readLinks();
  const { directory, link } = whatIsMeant(bpffs, name, links);
  const lock = await lockLeftovers('run', link?.name ?? name).catch((cause: AnyhopError) => {
    if (cause.cause !== undefined) throw cause;
    throw new AnyhopError('ERR_INTERFACE', cause.message, {
      hint: `End it first: SIGINT (Ctrl-C) also takes its program off ${name}, SIGTERM leaves that to "anyhop stop".`,
      cause,
    });
  });
  try {
    const attachment =
      link !== undefined && isBpffs(bpffs) ? findAttachment(directory, link.index) : undefined;
    if (attachment === undefined) {
      if (link !== undefined) requireNoProgram(link);
      const hadPins = isBpffs(bpffs) && removeStale(directory);
      if (hadPins) removePinDirectory(directory);
      else if (link === undefined) {
        throw new AnyhopError('ERR_INTERFACE', `there is no interface ${name}, and nothing is left of one`, {
          hint: 'See which there are: ip -br link',
        });
      }
      return hadPins ? { attached: undefined } : undefined;
    }
    const set = findSet(directory, attachment, log);
    const generation = set?.maps.image()?.generation;
    set?.close();
    const { mode, programId } = attachment;
    detach(attachment, directory);
    removePinDirectory(directory);
    return { attached: { interface: link!.name, mode, programId, generation } };
  } finally {
    await lock.release();
  }
}
