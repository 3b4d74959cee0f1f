/** Removes what an agent left on an interface: `anyhop agent --stop`. */
import { AnyhopError } from '../core/errors.js';
import type { XdpMode } from '../ffi/bpf.js';
import { findAttachment } from '../pins/attachment.js';
import { isBpffs } from '../pins/directory.js';
import { whatIsMeant } from '../pins/find.js';
import { detachByName } from '../pins/leftover.js';
import { readLinks } from '../underlay/link.js';
import { lockLeftovers } from '../underlay/lock.js';
import { AGENT_PINS, removePins } from './pins.js';
import { AGENT_PROGRAM } from './program.js';

export interface AgentPlace {
  readonly interface: string;
  readonly bpffs: string;
}

export interface RemovedAgent {
  /** What delivered until now; undefined when pins were left of a program that was attached no more. */
  readonly attached: { readonly mode: XdpMode; readonly programId: number } | undefined;
}

/**
 * @returns undefined when there was nothing
 * @throws AnyhopError ERR_INTERFACE when an agent runs on the interface, or there is none of this name and nothing is left of
 *   one; ERR_BPF when this user may not have what is there
 */
export async function removeAgent({ interface: name, bpffs }: AgentPlace): Promise<RemovedAgent | undefined> {
  const { directory: place, link } = whatIsMeant(bpffs, name, await readLinks(), AGENT_PINS);
  const lock = await lockLeftovers('agent', link?.name ?? name).catch((cause: AnyhopError) => {
    if (cause.cause !== undefined) throw cause;
    throw new AnyhopError('ERR_INTERFACE', cause.message, {
      hint: `End it first: SIGINT (Ctrl-C) also takes its program off ${name}, SIGTERM leaves that to "anyhop agent --stop".`,
      cause,
    });
  });
  try {
    const index = link?.index;
    const directory = isBpffs(bpffs, AGENT_PINS) ? place : undefined;
    const attached =
      index === undefined
        ? undefined
        : (detachPinned(directory, index) ?? detachByName(index, name, AGENT_PROGRAM));
    const hadPins = directory !== undefined && removePins(directory);
    if (attached === undefined && !hadPins && index === undefined) {
      throw new AnyhopError('ERR_INTERFACE', `there is no interface ${name}, and nothing is left of one`, {
        hint: 'See which there are: ip -br link',
      });
    }
    return attached !== undefined || hadPins ? { attached } : undefined;
  } finally {
    await lock.release();
  }
}

/** Behind a link that is pinned there. */
function detachPinned(directory: string | undefined, interfaceIndex: number): RemovedAgent['attached'] {
  const attachment = directory === undefined ? undefined : findAttachment(directory, interfaceIndex);
  if (attachment === undefined) return undefined;
  const { mode, programId, link } = attachment;
  link.detach();
  link.descriptor.close();
  return { mode, programId };
}
