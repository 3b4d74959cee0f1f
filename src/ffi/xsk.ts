/** AF_XDP sockets (native/lib/xsk.c): the main thread opens, binds and closes them; workers map their memory, kick and wait. */
import { getSystemErrorName } from 'node:util';
import { AnyhopError } from '../core/errors.js';
import { anyhopLibrary, workerLibrary } from './library.js';

/** Where things are in a mapped ring: struct anyhop_xsk_ring of native/lib/xsk.h. */
export interface RingLayout {
  readonly bytes: number;
  /** A power of two. */
  readonly entries: number;
  /** Offsets in bytes: of the two counters, of the flags, of the first entry. */
  readonly producer: number;
  readonly consumer: number;
  readonly flags: number;
  readonly desc: number;
}

const RING_WORDS = 6;
/** enum anyhop_xsk_memory; the rings are in the order in which their layouts come. */
const UMEM = 0;
const RINGS = ['rx', 'tx', 'fill', 'completion'] as const;
export type RingName = (typeof RINGS)[number];

/** What a worker needs to take a socket over; it can be sent to it. */
export interface SocketPlace {
  readonly number: number;
  readonly umemBytes: number;
  readonly rings: Readonly<Record<RingName, RingLayout>>;
}

export interface SocketOptions {
  readonly interfaceIndex: number;
  readonly queue: number;
  /** 2048 or 4096. */
  readonly frameBytes: number;
  /** A power of two. */
  readonly frames: number;
  /** Free bytes before each received frame. */
  readonly headroom: number;
}

/** Frames that were lost since the socket was opened. */
export interface SocketLosses {
  /** For want of a frame to receive into, or too long for one. */
  readonly dropped: number;
  readonly rxRingFull: number;
  /** Taken off the TX ring, and then dropped by the interface. */
  readonly refused: number;
}

/** A socket as the main thread has it. */
export class XdpSocket {
  readonly queue: number;
  readonly place: SocketPlace;
  readonly #number: number;

  /** @throws AnyhopError ERR_BPF saying what is missing: a capability, locked memory, the kernel's AF_XDP */
  constructor(options: SocketOptions) {
    const { interfaceIndex, queue, frameBytes, frames, headroom } = options;
    this.queue = queue;
    this.#number = call('anyhop_xsk_open', interfaceIndex, queue, frameBytes, frames, headroom);
    const layouts = Buffer.alloc(RINGS.length * RING_WORDS * 4);
    call('anyhop_xsk_rings', this.#number, layouts, layouts.length);
    const ring = (index: number): RingLayout => {
      const word = (i: number): number => layouts.readUInt32LE((index * RING_WORDS + i) * 4);
      return {
        bytes: word(0),
        entries: word(1),
        producer: word(2),
        consumer: word(3),
        flags: word(4),
        desc: word(5),
      };
    };
    const rings = Object.fromEntries(RINGS.map((name, index) => [name, ring(index)]));
    this.place = {
      number: this.#number,
      umemBytes: frameBytes * frames,
      rings: rings as Record<RingName, RingLayout>,
    };
  }

  /** Takes the queue. @returns whether the driver does it without copying */
  bind(forceCopy: boolean): boolean {
    return call('anyhop_xsk_bind', this.#number, forceCopy ? 1 : 0) === 1;
  }

  /** Its file descriptor, for an XSKMAP. */
  get fd(): number {
    return call('anyhop_xsk_fd', this.#number);
  }

  /** Ends the worker's wait. */
  wake(): void {
    call('anyhop_xsk_wake', this.#number);
  }

  losses(): SocketLosses {
    const out = Buffer.alloc(24);
    call('anyhop_xsk_statistics', this.#number, out, out.length);
    const count = (index: number): number => Number(out.readBigUInt64LE(index * 8));
    return { dropped: count(0), rxRingFull: count(1), refused: count(2) };
  }

  /** Once the worker has ended: its memory is gone then. */
  close(): void {
    call('anyhop_xsk_close', this.#number);
  }
}

/** A socket as its worker has it: memory, and the two calls. */
export class WorkerSocket {
  readonly umem: ArrayBuffer;
  readonly #place: SocketPlace;
  readonly #kick: () => number;
  readonly #kickBoth: () => number;

  constructor(place: SocketPlace) {
    this.#place = place;
    this.umem = workerLibrary.memory('ERR_BPF', place.umemBytes, 'anyhop_xsk_map', place.number, UMEM);
    this.#kick = workerLibrary.repeated('anyhop_xsk_kick', place.number, 0);
    this.#kickBoth = workerLibrary.repeated('anyhop_xsk_kick', place.number, 1);
  }

  ring(name: RingName): ArrayBuffer {
    const which = 1 + RINGS.indexOf(name);
    const { bytes } = this.#place.rings[name];
    return workerLibrary.memory('ERR_BPF', bytes, 'anyhop_xsk_map', this.#place.number, which);
  }

  /** Makes the kernel send what is in the TX ring, and with `receive` look at the fill ring. */
  kick(receive: boolean): void {
    check(receive ? this.#kickBoth() : this.#kick());
  }

  /** Sleeps until frames come in, the main thread wakes it, or the time is up. */
  wait(timeoutMs: number): void {
    check(workerLibrary.attempt('anyhop_xsk_wait', this.#place.number, timeoutMs));
  }
}

/** Pins the calling thread to a core, by number modulo those that the process may use. @returns the core */
export function pinThread(index: number): number {
  return check(workerLibrary.attempt('anyhop_pin_thread', index));
}

/** Makes the first call of each function that workers call (see library.ts), on the main thread before any worker starts. */
export function prepareWorkerCalls(): void {
  const none = -1;
  for (const name of ['anyhop_xsk_map', 'anyhop_xsk_kick', 'anyhop_xsk_wait'])
    workerLibrary.attempt(name, none, 0);
  workerLibrary.attempt('anyhop_pin_thread', none);
  workerLibrary.error();
}

/** Receive and transmit queues of an interface that are in use. */
export function interfaceQueues(interfaceName: string): { readonly receive: number; readonly send: number } {
  const out = Buffer.alloc(8);
  anyhopLibrary.call('ERR_INTERFACE', 'anyhop_queues', interfaceName, out, out.length);
  return { receive: out.readUInt32LE(0), send: out.readUInt32LE(4) };
}

function call(name: string, ...values: (number | Buffer)[]): number {
  return anyhopLibrary.call('ERR_BPF', name, ...values);
}

/** The worker's calls return only a number: the library's error text belongs to the main thread. */
function check(result: number): number {
  if (result >= 0) return result;
  const name = getSystemErrorName(result);
  throw new AnyhopError(
    'ERR_INTERFACE',
    name === 'ENETDOWN' ? 'its interface is gone' : `the kernel says ${name}`,
  );
}
