/** A map, a program or a link in the kernel, by its file descriptor (native/lib/map.c). It lives as long as a descriptor or a pin of it. */
import { anyhopLibrary } from './library.js';

const XDP_ACTIONS = ['aborted', 'drop', 'pass', 'tx', 'redirect'] as const;
export type XdpAction = (typeof XDP_ACTIONS)[number];

/** The longest frame that a test run returns. */
const FRAME_BYTES_MAX = 16 * 1024;

export interface TestRun {
  readonly action: XdpAction;
  /** The frame as the program left it. */
  readonly frame: Buffer;
}

export class Descriptor {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** @throws AnyhopError ERR_BPF: there is nothing under this path, or this user may not have it */
  static pinned(path: string): Descriptor {
    return new Descriptor(anyhopLibrary.call('ERR_BPF', 'anyhop_pinned', path));
  }

  /** @throws AnyhopError ERR_BPF: the path is taken, or this user may not write there */
  pin(path: string): void {
    anyhopLibrary.call('ERR_BPF', 'anyhop_pin', this.fd, path);
  }

  /** Of a program: the kernel's number. */
  programId(): number {
    return anyhopLibrary.call('ERR_BPF', 'anyhop_program_id', this.fd);
  }

  /**
   * Of an XDP program: runs it on a frame of 14 bytes or more, without an interface; nothing is sent.
   * @throws AnyhopError ERR_BPF
   */
  testRun(frame: Uint8Array): TestRun {
    const out = Buffer.alloc(4 + FRAME_BYTES_MAX);
    const into = [Buffer.from(frame), frame.length, out, out.length];
    const action = anyhopLibrary.call('ERR_BPF', 'anyhop_program_run', this.fd, ...into);
    return { action: XDP_ACTIONS[action], frame: out.subarray(4, 4 + out.readUInt32LE(0)) };
  }

  /** Idempotent. */
  close(): void {
    if (this.#open) anyhopLibrary.attempt('anyhop_close', this.fd);
    this.#open = false;
  }
}
