/**
 * How large the maps between an XDP program and user space are (native/include/anyhop/xdp.h). A program is loaded for its
 * sizes and keeps them; there is room to grow, so that one more backend does not take another program.
 */
import { L } from '../../core/layout.gen.js';
import type { ObjectShape } from '../../ffi/bpf.js';
import { possibleCpus } from '../../ffi/map.js';
import { guardBytes } from '../../forward/guard-state.js';
import type { Image } from '../../image/read.js';
import { usesLists } from '../../image/rules.js';

export interface ForwardSizes {
  /** Of each of the three buffers; a multiple of 64. */
  readonly imageBytes: number;
  /** Counters that there is room for. */
  readonly services: number;
  readonly backends: number;
  /** Of each of the two buffers of lists; a multiple of 64. Undefined: as little as possible. */
  readonly lists?: number;
}

const LINE_BYTES = 64;
/** A quarter more than is needed, and at least so much. */
const ROOM = 1.25;
/**
 * While a flow hash key changes, an image has the holders by the former key too, 4 bytes a slot beside 6. A key must not change at the
 * moment at which a program is replaced: that takes a second, of a settle time that may be short. Kernels before 6.0 have no larger
 * element than this; there, a larger image replaces the program.
 */
const ROOM_REKEYED = 1.75;
const REKEYED_BYTES_MAX = 4 * 1024 * 1024;
const ROOM_BYTES_MIN = 64 * 1024;
const ROOM_COUNTERS_MIN = 64;
/** Lists of a few thousand prefixes; the first of IPv4 takes 5.3 MiB. Without lists, what a program may read at once. */
const ROOM_LISTS_MIN = 8 * 1024 * 1024;
const LISTS_BYTES_MIN = 256;

/** Sizes for an image and some of its successors. @param lists bytes of the compiled lists that are in force, or 0 */
export function sizesFor(image: Image, lists = 0): ForwardSizes {
  const counters = (inUse: number): number => Math.ceil(Math.max(inUse * ROOM, inUse + ROOM_COUNTERS_MIN));
  const size = image.bytes.length;
  return {
    imageBytes: lines(
      Math.max(size * ROOM, size + ROOM_BYTES_MIN, Math.min(size * ROOM_REKEYED, REKEYED_BYTES_MAX)),
    ),
    services: counters(image.serviceCounters),
    backends: counters(image.backendCounters),
    lists: lists > 0 || usesLists(image) ? lines(Math.max(lists * ROOM, ROOM_LISTS_MIN)) : LISTS_BYTES_MIN,
  };
}

/** Whether maps of these sizes can hold an image and what is counted by it. */
export function fits(image: Image, sizes: ForwardSizes): boolean {
  return (
    image.bytes.length <= sizes.imageBytes &&
    image.serviceCounters <= sizes.services &&
    image.backendCounters <= sizes.backends
  );
}

/** What an object with these maps is loaded with, beside maps of its own. */
export function forwardShape(sizes: ForwardSizes): Required<Omit<ObjectShape, 'reuse'>> {
  const constants = Buffer.alloc(L.SIZEOF_SIZES);
  constants.writeUInt32LE(sizes.imageBytes, L.SIZES_IMAGE_BYTES);
  const backendsAt = L.SIZEOF_COUNTERS + sizes.services * L.SIZEOF_TRAFFIC;
  constants.writeUInt32LE(backendsAt, L.SIZES_BACKENDS_AT);
  constants.writeUInt32LE(backendsAt + (sizes.backends - 1) * L.SIZEOF_TRAFFIC, L.SIZES_COUNTER_LAST);
  constants.writeUInt32LE(guardedAt(sizes), L.SIZES_GUARDED_AT);
  constants.writeUInt32LE(Math.max(0, sizes.services - 1) * L.SIZEOF_SERVICE_STATE, L.SIZES_STATE_LAST);
  constants.writeUInt32LE(sizes.lists ?? LISTS_BYTES_MIN, L.SIZES_LISTS_BYTES);
  return {
    entries: { counters: possibleCpus() + 1 },
    elementBytes: { images: sizes.imageBytes, counters: counterBytes(sizes) },
    constants: { '.rodata.sizes': constants },
  };
}

/** The same for the program that forwards, which has the state of defence too. */
export function defendedShape(sizes: ForwardSizes): Required<Omit<ObjectShape, 'reuse'>> {
  const shape = forwardShape(sizes);
  return {
    ...shape,
    elementBytes: {
      ...shape.elementBytes,
      guard: guardBytes(sizes.services),
      lists: sizes.lists ?? LISTS_BYTES_MIN,
    },
  };
}

/** Where what rules of defence count begins in one CPU's counters, in bytes. */
export function guardedAt({ services, backends }: ForwardSizes): number {
  return lines(L.SIZEOF_COUNTERS + (services + backends) * L.SIZEOF_TRAFFIC);
}

/** Bytes of one CPU's counters. One service's place is always there: the program checks its place against the last one. */
function counterBytes(sizes: ForwardSizes): number {
  return guardedAt(sizes) + Math.max(1, sizes.services) * L.SIZEOF_GUARDED;
}

/** Rounded up to whole cache lines. */
function lines(bytes: number): number {
  return Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;
}
