/** Captures what the engine `xdp` forwards on an interface, by its pins: also when no process of it runs. */
import type { CaptureNames, CaptureSource } from '../../capture/record.js';
import { AnyhopError } from '../../core/errors.js';
import { captureNames } from '../../image/capture-names.js';
import { findAttachment } from '../../pins/attachment.js';
import { type Capturable, PinnedCapture } from '../../pins/capture.js';
import { CaptureMaps } from '../../pins/capture-maps.js';
import { isBpffs, type Place } from '../../pins/directory.js';
import { whatIsMeant } from '../../pins/find.js';
import { type Link, readLinks } from '../../underlay/link.js';
import { listSets, PinnedSet, programOf, setDirectory } from './pinned-set.js';

/**
 * @throws AnyhopError ERR_INTERFACE when the engine `xdp` has nothing in force on the interface; ERR_BPF when the pins are another
 * user's, or of a version that cannot be captured
 */
export async function xdpCapture({ bpffs, interface: name }: Place): Promise<CaptureSource> {
  const { directory, link } = whatIsMeant(bpffs, name, await readLinks());
  const found = link === undefined || !isBpffs(bpffs) ? undefined : find(directory, link);
  found?.maps.close();
  if (link === undefined || found === undefined) {
    throw new AnyhopError('ERR_INTERFACE', `the engine xdp has nothing in force on ${name}`, {
      hint: `Its pins are looked for in ${directory}. Name another BPF file system by --bpffs.`,
    });
  }
  return new PinnedCapture({
    point: 'forwarder',
    interface: link.name,
    description: `engine xdp, program ${found.programId} on ${link.name}`,
    names: async () => namesIn(directory, link),
    find: () => find(directory, link),
  });
}

function find(directory: string, link: Pick<Link, 'index'>): Capturable | undefined {
  const inForce = setInForce(directory, link);
  if (inForce === undefined) return undefined;
  const maps = CaptureMaps.pinned(setDirectory(directory, inForce.number));
  if (maps === undefined) {
    throw new AnyhopError(
      'ERR_BPF',
      `the program on the interface cannot be captured: it has no such pins in ${directory}`,
      {
        hint: 'A former version of anyhop left it, or somebody has removed the pins: restart anyhop run, which loses no packet.',
      },
    );
  }
  return { programId: inForce.programId, maps };
}

function setInForce(
  directory: string,
  { index }: Pick<Link, 'index'>,
): { readonly number: number; readonly programId: number } | undefined {
  const attachment = findAttachment(directory, index);
  if (attachment === undefined) return undefined;
  attachment.link.descriptor.close();
  const { programId } = attachment;
  const number = listSets(directory).find((each) => programOf(directory, each) === programId);
  return number === undefined ? undefined : { number, programId };
}

function namesIn(directory: string, link: Pick<Link, 'index'>): CaptureNames {
  const inForce = setInForce(directory, link);
  if (inForce === undefined) return { generation: 0, services: [], backends: [] };
  const set = PinnedSet.open(directory, inForce.number);
  try {
    const image = set.maps.image();
    return image === undefined ? { generation: 0, services: [], backends: [] } : captureNames(image);
  } finally {
    set.close();
  }
}
