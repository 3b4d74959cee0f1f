/** Captures what the agent's program does on an interface, by its pins: also when no agent runs. */
import type { CaptureNames, CaptureSource } from '../capture/record.js';
import { AnyhopError } from '../core/errors.js';
import { findAttachment } from '../pins/attachment.js';
import { type Capturable, PinnedCapture } from '../pins/capture.js';
import { isBpffs, type Place } from '../pins/directory.js';
import { whatIsMeant } from '../pins/find.js';
import { type Link, readLinks } from '../underlay/link.js';
import { AGENT_PINS, openCaptureMaps } from './pins.js';

/**
 * @param names what the config says, since the program knows none
 * @throws AnyhopError ERR_INTERFACE when no agent's program is pinned on the interface; ERR_BPF when the pins are another user's, or of
 * another version
 */
export async function agentCapture(
  { bpffs, interface: name }: Place,
  names: () => Promise<CaptureNames>,
): Promise<CaptureSource> {
  const { directory, link } = whatIsMeant(bpffs, name, await readLinks(), AGENT_PINS);
  const found = link === undefined || !isBpffs(bpffs, AGENT_PINS) ? undefined : find(directory, link);
  found?.maps.close();
  if (link === undefined || found === undefined) {
    throw new AnyhopError('ERR_INTERFACE', `no agent has a program pinned on ${name}`, {
      hint: `Pins are looked for in ${directory}. Name another BPF file system by --bpffs; an agent without one cannot be captured.`,
    });
  }
  return new PinnedCapture({
    point: 'agent',
    interface: link.name,
    description: `agent, program ${found.programId} on ${link.name}`,
    names,
    find: () => find(directory, link),
  });
}

function find(directory: string, { index }: Pick<Link, 'index'>): Capturable | undefined {
  const attachment = findAttachment(directory, index);
  if (attachment === undefined) return undefined;
  attachment.link.descriptor.close();
  const maps = openCaptureMaps(directory);
  if (maps === undefined) {
    throw new AnyhopError(
      'ERR_BPF',
      `the agent's program cannot be captured: it has no such pins of this version in ${directory}`,
      {
        hint: 'Another version of anyhop left it, or somebody has removed the pins: restart anyhop agent, which loses no packet.',
      },
    );
  }
  return { programId: attachment.programId, maps };
}
