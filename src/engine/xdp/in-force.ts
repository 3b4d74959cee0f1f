/**
 * What is in force on an interface: a program attached by a pinned link, with the set of maps that it uses. How it comes to be there:
 *
 *   attachFirst   nothing was in force: load, pin, attach
 *   takeOver      a former process left it: adopt it, or replace it
 *   replaceSet    load and pin another set beside it, put its program behind the same link, carry the counters over (handover.ts)
 *   attachAgain   somebody detached the link by force
 */
import { unlinkSync } from 'node:fs';
import { AnyhopError, InterfaceTaken } from '../../core/errors.js';
import { L, LAYOUT_DIGEST } from '../../core/layout.gen.js';
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import type { Image } from '../../image/read.js';
import { type Attachment, attach, attachProgram, linkPath } from '../../pins/attachment.js';
import { entries, makePinDirectory, removePinDirectory } from '../../pins/directory.js';
import { readStatistics } from '../../underlay/driver-statistics.js';
import type { Link } from '../../underlay/link.js';
import { sizesFor } from '../maps/sizes.js';
import { flowHashVersion } from './about.js';
import { findSet, removeStale } from './attachment.js';
import { Handover } from './handover.js';
import { listSets, PinnedSet, removeSet } from './pinned-set.js';
import { hashesOtherwise, replacementReason } from './replacement.js';

export interface PinPlace {
  readonly link: Link;
  /** Of the interface's pins. */
  readonly directory: string;
}

export interface InForce extends PinPlace {
  attachment: Attachment;
  /** For people. */
  mode: string;
  set: PinnedSet;
  image: Image;
  /** While counters are on their way from the former set. */
  handover: Handover | undefined;
}

/** What a former process left; without set and image when this version cannot read it. */
type Found = Omit<InForce, 'set' | 'image'> & { set: PinnedSet | undefined; image: Image | undefined };

/** @throws AnyhopError when the program cannot be loaded, pinned or attached; nothing is left then */
export async function attachFirst(
  image: Image,
  { link, directory }: PinPlace,
  bpffs: string,
  log: Logger,
  lists?: Uint8Array,
): Promise<InForce> {
  if (removeStale(directory)) {
    log.warn(
      { event: 'stale_pins', directory },
      `pins without a program on ${link.name} were removed: ${directory}`,
    );
  }
  makePinDirectory(directory, bpffs);
  let set: PinnedSet | undefined;
  try {
    const baseline = readStatistics(link.name);
    const origin = { sizes: sizesFor(image, lists?.length), replaced: undefined, baseline };
    set = await PinnedSet.create(directory, 1, image, origin, lists);
    const { refusal, ...attachment } = attach(set.program, link, directory);
    if (refusal !== undefined) {
      log.warn({ event: 'generic_xdp', hint: refusal.hint }, `${refusal.message}; generic XDP instead`);
    }
    const mode = refusal === undefined ? 'native XDP' : `generic XDP (${refusal.message})`;
    log.info({ event: 'attached', mode: attachment.mode, directory }, `${mode} on ${link.name}`);
    return { link, directory, attachment, mode, set, image, handover: undefined };
  } catch (error) {
    set?.remove();
    removePinDirectory(directory);
    throw error;
  }
}

/**
 * The former process's program forwards until the image is published, or the next program takes its place.
 *
 * @param force also where flows get other backends by it
 * @param lists undefined: those in force stay
 * @throws InterfaceTaken when the program in force hashes flows otherwise; it goes on
 */
export async function takeOver(
  image: Image,
  { link, directory }: PinPlace,
  attachment: Attachment,
  force: boolean,
  log: Logger,
  lists?: Uint8Array,
): Promise<InForce> {
  const set = findSet(directory, attachment, log);
  const former = set?.maps.image();
  const mode = `${attachment.mode} XDP`;
  const found: Found = { link, directory, attachment, mode, set, image: former, handover: undefined };
  try {
    if (set !== undefined && hashesOtherwise(set) && !force) throw refused(set, link);
    if (set !== undefined && former !== undefined) await tidy(directory, set, former, log);
    if (former !== undefined && image.generation < former.generation) {
      throw new RangeError(
        `generation ${image.generation} is older than ${former.generation}, which is in force`,
      );
    }
    const why = replacementReason(image, set, former, lists);
    if (why !== undefined) return await replaceSet(found, image, why, log, undefined, lists);
    // Lists first: by the image, packets would meet the former ones.
    if (lists !== undefined) await set!.defence!.publishLists(lists);
    await set!.maps.publish(image.bytes);
    log.info(
      { event: 'adopted', generation: image.generation, former: former!.generation },
      `adopted the program on ${link.name} without a gap: generation ${image.generation} took the place of ${former!.generation}`,
    );
    return { ...found, set: set!, image };
  } catch (error) {
    set?.close();
    attachment.link.descriptor.close();
    throw error;
  }
}

function refused({ about }: PinnedSet, { name }: Link): InterfaceTaken {
  return new InterfaceTaken(
    `what forwards on ${name} (anyhop ${about.version}) has version ${flowHashVersion(about)} of the flow hash, this anyhop version ` +
      `${L.FLOW_HASH_VERSION}: nearly every flow would get another backend, and connections would break, also with second chance`,
    'It goes on forwarding. Take over all nodes of the fleet at about the same time, when few connections are open: anyhop run --force.',
  );
}

/**
 * Puts a program with maps of its own in the place of the one in force.
 * @param replaced called as soon as it is there, before counters have been carried
 * @param lists in force with the image; those that were, unless others are given
 * @returns the same object, changed
 */
export async function replaceSet(
  found: Found,
  image: Image,
  why: string,
  log: Logger,
  replaced: () => void = () => undefined,
  lists: Uint8Array | undefined = listsOf(found.set),
): Promise<InForce> {
  const { directory, link, set: former } = found;
  const others = listSets(directory);
  const set = await PinnedSet.create(
    directory,
    (others.at(-1) ?? 0) + 1,
    image,
    {
      sizes: sizesFor(image, lists?.length),
      replaced: former?.number,
      baseline: former?.about.baseline ?? readStatistics(link.name),
    },
    lists,
  );
  const handover = former && new Handover(former, set, image, log);
  try {
    handover?.carry();
    handover?.continueDefence();
    found.attachment.link.replace(set.program);
  } catch (error) {
    set.remove();
    throw error;
  }
  const attachment = { ...found.attachment, programId: set.program.programId() };
  const inForce: InForce = Object.assign(found, { attachment, set, image, handover });
  replaced();
  await handover?.finish();
  inForce.handover = undefined;
  if (former === undefined) for (const number of others) removeSet(directory, number);
  if (former !== undefined && hashesOtherwise(former)) {
    const text = 'nearly every flow has another backend now, and connections break';
    log.warn(
      { event: 'flow_hash_changed', why },
      `the program on ${link.name} was replaced: ${why}; ${text}`,
    );
  } else {
    log.info({ event: 'replaced', why }, `the program on ${link.name} was replaced without a gap: ${why}`);
  }
  return inForce;
}

/** Lists of a set that this version can read. */
function listsOf(set: PinnedSet | undefined): Uint8Array | undefined {
  return set?.about.layout === LAYOUT_DIGEST ? set.defence?.lists() : undefined;
}

/** A link that is detached by force does not come back: another takes its place and its pin. */
export function attachAgain(inForce: InForce, log: Logger): void {
  const { set, link, directory, attachment } = inForce;
  const { link: next, mode } = attachProgram(set.program, link);
  try {
    if (entries(directory).includes('link')) unlinkSync(linkPath(directory));
    next.descriptor.pin(linkPath(directory));
  } catch (error) {
    // It forwards all the same; what is missing is pinned when that can be.
    const why = reasonOf(error);
    log.warn({ event: 'not_pinned', directory, why }, `the program on ${link.name} is not pinned: ${why}`);
  }
  attachment.link.descriptor.close();
  inForce.attachment = { link: next, mode, programId: set.program.programId() };
  inForce.mode = `${mode} XDP`;
}

/** Pins what somebody has removed of it. @returns whether something was gone */
export function pinMissing({ directory, attachment, set }: InForce): boolean {
  const hasLink = entries(directory).includes('link');
  if (hasLink && set.isPinned) return false;
  if (!set.isPinned) set.pinAgain();
  if (!hasLink) attachment.link.descriptor.pin(linkPath(directory));
  return true;
}

/** Finishes what a killed process began: carries counters to the set in force, and removes all others. */
async function tidy(directory: string, inForce: PinnedSet, image: Image, log: Logger): Promise<void> {
  for (const number of listSets(directory)) {
    if (number === inForce.number) continue;
    if (number === inForce.about.replaced) {
      const former = openIfWhole(directory, number);
      if (former !== undefined) await new Handover(former, inForce, image, log).finish();
    }
    removeSet(directory, number);
  }
}

function openIfWhole(directory: string, number: number): PinnedSet | undefined {
  try {
    return PinnedSet.open(directory, number);
  } catch (error) {
    if (error instanceof AnyhopError) return undefined;
    throw error;
  }
}
