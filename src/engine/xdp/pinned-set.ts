/**
 * A program and its maps, pinned together under a number in an interface's directory:
 *
 *     <directory>/link                                    the program that is attached, whichever it is
 *     <directory>/1/{program,images,live,counters,about}  a set; what is attached is that of one of them
 *     <directory>/1/{capture,captured,guard,lists}        of it too: how its packets are captured, what rules of defence read and count in;
 *                                                         former versions have none
 *     <directory>/2/...                                   the next, beside the former until it has replaced that
 *
 * A process can be killed at any moment, so its successor goes only by what is attached: the set whose program the link
 * has is the one in force. One with a lower number that it replaced still has counters to be carried
 * over; any other was never in force.
 */
import { mkdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BpfObject } from '../../ffi/bpf.js';
import { Descriptor } from '../../ffi/descriptor.js';
import { bpfObjectPath } from '../../ffi/library.js';
import type { Image } from '../../image/read.js';
import { CAPTURE_PINS, CaptureMaps } from '../../pins/capture-maps.js';
import { entries } from '../../pins/directory.js';
import { DEFENCE_PINS, DefenceMaps } from '../maps/defence-maps.js';
import { ForwardMaps } from '../maps/forward-maps.js';
import { defendedShape } from '../maps/sizes.js';
import { FORWARD_PROGRAM } from '../requirements.js';
import { type About, describeThis, type Origin, readAbout, writeAbout } from './about.js';

const PINS = ['program', 'images', 'live', 'counters', 'about'];

export class PinnedSet {
  readonly number: number;
  readonly program: Descriptor;
  readonly maps: ForwardMaps;
  readonly about: About;
  /** Undefined for a program of a former version, and where somebody has removed the pins. */
  readonly defence: DefenceMaps | undefined;
  readonly #captures: CaptureMaps | undefined;
  readonly #directory: string;

  private constructor(
    directory: string,
    number: number,
    about: About,
    program: Descriptor,
    maps: ForwardMaps,
    captures: CaptureMaps | undefined,
    defence: DefenceMaps | undefined,
  ) {
    this.defence = defence;
    this.#directory = directory;
    this.number = number;
    this.about = about;
    this.program = program;
    this.maps = maps;
    this.#captures = captures;
  }

  /**
   * Loads this version's program with an image and lists in force, and pins it. It is attached to nothing yet.
   *
   * @param directory the interface's
   * @throws AnyhopError ERR_NATIVE when it was not built, ERR_BPF with the verifier's words when the kernel refuses it, or
   * when it cannot be pinned; nothing is left then
   */
  static async create(
    directory: string,
    number: number,
    image: Image,
    origin: Origin,
    lists?: Uint8Array,
  ): Promise<PinnedSet> {
    const about = describeThis(origin);
    const object = new BpfObject(bpfObjectPath('forward'), defendedShape(origin.sizes));
    let maps: ForwardMaps | undefined;
    let program: Descriptor | undefined;
    let captures: CaptureMaps | undefined;
    let defence: DefenceMaps | undefined;
    try {
      maps = ForwardMaps.of(object, origin.sizes);
      captures = CaptureMaps.of(object);
      defence = DefenceMaps.of(object);
      program = object.program(FORWARD_PROGRAM);
      await maps.publish(image.bytes);
      await defence.publishLists(lists);
      const set = new PinnedSet(directory, number, about, program, maps, captures, defence);
      set.#pin();
      return set;
    } catch (error) {
      maps?.close();
      captures?.close();
      defence?.close();
      program?.close();
      removeSet(directory, number);
      throw error;
    } finally {
      object.close();
    }
  }

  /** @throws AnyhopError ERR_BPF when it is not all there, or this version cannot read it */
  static open(directory: string, number: number): PinnedSet {
    const own = setDirectory(directory, number);
    const about = readAbout(join(own, 'about'));
    const program = Descriptor.pinned(join(own, 'program'));
    let captures: CaptureMaps | undefined;
    let defence: DefenceMaps | undefined;
    try {
      captures = CaptureMaps.pinned(own);
      defence = DefenceMaps.pinned(own);
      const maps = ForwardMaps.pinned(own, about.sizes);
      return new PinnedSet(directory, number, about, program, maps, captures, defence);
    } catch (error) {
      captures?.close();
      defence?.close();
      program.close();
      throw error;
    }
  }

  /** Unpins it, and lets go of it: what is attached goes on until the link ends. */
  remove(): void {
    removeSet(this.#directory, this.number);
    this.close();
  }

  /** Lets go of it; pins stay. */
  close(): void {
    this.maps.close();
    this.#captures?.close();
    this.defence?.close();
    this.program.close();
  }

  /** Whether all of it is there for the next process. */
  get isPinned(): boolean {
    const there = entries(setDirectory(this.#directory, this.number));
    const own = [
      ...PINS,
      ...(this.#captures === undefined ? [] : CAPTURE_PINS),
      ...(this.defence === undefined ? [] : DEFENCE_PINS),
    ];
    return own.every((name) => there.includes(name));
  }

  /** The same as at first, in the place of what is left. @throws AnyhopError ERR_BPF; NodeJS.ErrnoException */
  pinAgain(): void {
    removeSet(this.#directory, this.number);
    this.#pin();
  }

  #pin(): void {
    const own = setDirectory(this.#directory, this.number);
    mkdirSync(own, { mode: 0o700 });
    this.maps.pin(own);
    this.#captures?.pin(own);
    this.defence?.pin(own);
    const about = writeAbout(this.about);
    try {
      about.descriptor.pin(join(own, 'about'));
    } finally {
      about.close();
    }
    this.program.pin(join(own, 'program')); // the last: a set with a program is whole
  }
}

export function setDirectory(directory: string, number: number): string {
  return join(directory, String(number));
}

/** The numbers of all sets in an interface's directory, rising. */
export function listSets(directory: string): number[] {
  return entries(directory)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Id of a set's program; undefined when it was left half pinned. */
export function programOf(directory: string, number: number): number | undefined {
  const path = setDirectory(directory, number);
  if (!entries(path).includes('program')) return undefined;
  const program = Descriptor.pinned(join(path, 'program'));
  try {
    return program.programId();
  } finally {
    program.close();
  }
}

/** Unpins whatever is there of a set. */
export function removeSet(directory: string, number: number): void {
  const path = setDirectory(directory, number);
  for (const name of entries(path)) unlinkSync(join(path, name));
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
