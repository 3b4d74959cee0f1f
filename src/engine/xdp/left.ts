/** Takes off an interface what an xdp node has left in force there: for `anyhop stop`. */
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { XdpMode } from '../../ffi/bpf.js';
import { findAttachment } from '../../pins/attachment.js';
import { isBpffs, removePinDirectory } from '../../pins/directory.js';
import { whatIsMeant } from '../../pins/find.js';
import { readLinks } from '../../underlay/link.js';
import { lockLeftovers } from '../../underlay/lock.js';
import { detach, findSet, removeStale, requireNoOther } from './attachment.js';
import type { XdpPlace } from './obstacle.js';

export interface Removed {
  /** What forwarded until now; undefined when pins were left of a program that was attached no more. */
  readonly attached:
    | {
        /** As it is called now. */
        readonly interface: string;
        readonly mode: XdpMode;
        readonly programId: number;
        readonly generation: number | undefined;
      }
    | undefined;
}

/**
 * @returns undefined when there was nothing
 * @throws AnyhopError ERR_INTERFACE when a process is in charge of the interface, or somebody else's program is on it; ERR_BPF
 *   when this user may not have what is there
 */
export async function removeForwarding(
  { interface: name, bpffs }: XdpPlace,
  log: Logger,
): Promise<Removed | undefined> {
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
      if (link !== undefined) requireNoOther(link);
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
