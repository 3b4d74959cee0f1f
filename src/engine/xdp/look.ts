/**
 * Looks at what the engine `xdp` forwards by, from its pins alone and without touching it: also while no process runs. Only counters of a
 * set that is in force are read. What a process had not yet carried over when it was killed between two programs is missing; the next one
 * carries it.
 */
import { dirname, join } from 'node:path';
import { L } from '../../core/layout.gen.js';
import type { Counters } from '../../forward/counters.js';
import type { Image } from '../../image/read.js';
import { findAttachment } from '../../pins/attachment.js';
import { entries, pinDirectory } from '../../pins/directory.js';
import { linkedIndex } from '../../pins/find.js';
import { type Link, readLinks } from '../../underlay/link.js';
import { ForwardMaps } from '../maps/forward-maps.js';
import { readAbout } from './about.js';
import { listSets, programOf } from './pinned-set.js';

export interface PinnedForwarding {
  readonly link: Pick<Link, 'name' | 'index'>;
  /** Of the pins. */
  readonly directory: string;
  readonly mode: string;
  readonly programId: number;
  /** Of anyhop, whose program it is. */
  readonly version: string;
  /** A copy; undefined when another version wrote it. */
  readonly image: Image | undefined;
  /** Names of the verdicts, by number. */
  readonly verdicts: readonly string[];
  /** As they are now. Without an image only verdicts are known. */
  counters(): Counters;
  close(): void;
}

/**
 * What forwards on interfaces of this network namespace.
 * @param bpffs where it is pinned
 * @throws AnyhopError ERR_BPF when this user may not look
 */
export async function lookAtPins(bpffs: string): Promise<PinnedForwarding[]> {
  const all = dirname(pinDirectory(bpffs, 'any'));
  const names = entries(all);
  if (names.length === 0) return [];
  const links = [...(await readLinks()).values()];
  return names.flatMap((name) => lookAt(join(all, name), links) ?? []);
}

function lookAt(directory: string, links: readonly Link[]): PinnedForwarding | undefined {
  const index = linkedIndex(directory);
  const link = links.find((each) => each.index === index);
  const attachment = link && findAttachment(directory, link.index);
  if (link === undefined || attachment === undefined) return undefined;
  attachment.link.descriptor.close();
  const { mode, programId } = attachment;
  const number = listSets(directory).find((each) => programOf(directory, each) === programId);
  if (number === undefined) return undefined;
  const own = join(directory, String(number));
  const { sizes, verdicts, version, counterBytes } = readAbout(join(own, 'about'));
  const maps = ForwardMaps.looking(own, sizes);
  // Where it is not as in this version, services would be counted by words of something else.
  const image = counterBytes === L.SIZEOF_COUNTERS ? maps.image() : undefined;
  return {
    link: { name: link.name, index: link.index },
    directory,
    mode,
    programId,
    version,
    image,
    verdicts,
    counters: () => maps.counters(image?.serviceCounters ?? 0, image?.backendCounters ?? 0),
    close: () => maps.close(),
  };
}
