/** Records of packets from an XDP program that captures (native/lib/capture-ring.c): it is armed for a second at a time. */
import { AnyhopError, EXIT } from '../core/errors.js';
import { L } from '../core/layout.gen.js';
import type { Descriptor } from './descriptor.js';
import { anyhopLibrary } from './library.js';

/** The most that one `poll` returns; a record has at most 4160. */
const POLL_BYTES = 512 * 1024;
const EBUSY = -16;

export class CaptureRing {
  readonly #number: number;
  readonly #buffer = Buffer.allocUnsafe(POLL_BYTES);
  #open = true;

  /**
   * @param shared the program's `.data.capture`, and its ring of records; they stay the caller's
   * @throws AnyhopError ERR_BPF when they are another version's
   */
  constructor(shared: Descriptor, ring: Descriptor) {
    this.#number = anyhopLibrary.call('ERR_BPF', 'anyhop_capture_open', shared.fd, ring.fd);
  }

  /**
   * Begins to record for a second, and drops what another capture has left.
   * @param filter one anyhop_capture_filter (capture/filter-bytes.ts)
   * @throws AnyhopError ERR_INTERFACE while another capture runs
   */
  arm(filter: Buffer): void {
    if (filter.length !== L.SIZEOF_CAPTURE_FILTER) throw new RangeError('this is no filter');
    this.#hold('anyhop_capture_arm', filter);
  }

  /**
   * For another second from now on; several times a second.
   * @throws AnyhopError ERR_INTERFACE when another capture has begun after the lease of this one
   */
  extend(): void {
    this.#hold('anyhop_capture_extend');
  }

  /** Whole records, one behind the other (capture/record-bytes.ts), in memory of their own; empty when there are none for now. */
  poll(): Buffer {
    const { length } = this.#buffer;
    const used = anyhopLibrary.call('ERR_BPF', 'anyhop_capture_poll', this.#number, this.#buffer, length);
    return Buffer.from(this.#buffer.subarray(0, used));
  }

  /** Records that found no room since `arm`. */
  lost(): number {
    const out = Buffer.alloc(8);
    anyhopLibrary.call('ERR_BPF', 'anyhop_capture_lost', this.#number, out);
    return Number(out.readBigUInt64LE());
  }

  /** Records no more; what is there can still be polled. A packet that is under way may come after it. */
  disarm(): void {
    anyhopLibrary.attempt('anyhop_capture_disarm', this.#number);
  }

  /** Disarms, and gives the memory back; idempotent. */
  close(): void {
    if (this.#open) anyhopLibrary.attempt('anyhop_capture_close', this.#number);
    this.#open = false;
  }

  #hold(name: string, ...values: Buffer[]): void {
    const result = anyhopLibrary.attempt(name, this.#number, ...values);
    if (result >= 0) return;
    if (result !== EBUSY) throw new AnyhopError('ERR_BPF', anyhopLibrary.error());
    throw new AnyhopError('ERR_INTERFACE', 'another capture runs on this interface', {
      hint: 'One at a time: end the other one (pgrep -af "anyhop capture"). A capture that was killed holds the interface for a second.',
      exitCode: EXIT.failure,
    });
  }
}
