/** Removes what an agent left on an interface: `anyhop agent --stop`. */
import type { XdpMode } from '../ffi/bpf.js';
import { findAttachment } from '../pins/attachment.js';
import type { Place } from '../pins/directory.js';
import { detachByName, removeLeft } from '../pins/leftover.js';
import { AGENT_PINS, removePins } from './pins.js';
import { AGENT_PROGRAM } from './program.js';

export interface RemovedAgent {
  /** What delivered until now; undefined when pins were left of a program that was attached no more. */
  readonly attached: { readonly mode: XdpMode; readonly programId: number } | undefined;
}

/** @returns undefined when there was nothing. @throws AnyhopError as `removeLeft` */
export function removeAgent(place: Place): Promise<RemovedAgent | undefined> {
  return removeLeft(place, AGENT_PINS, 'anyhop agent --stop', (directory, link) => {
    const attached =
      link &&
      (detachPinned(directory, link.index) ?? detachByName(link.index, place.interface, AGENT_PROGRAM));
    const hadPins = directory !== undefined && removePins(directory);
    return attached !== undefined || hadPins ? { attached } : undefined;
  });
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
