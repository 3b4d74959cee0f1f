/** Packet sockets of a library that does not survive their errors (native/lib/capture.c). */
import { constants } from 'node:os';
import { anyhopLibrary } from './library.js';

const SOCKETS_MAX = 256;

/** Of the interface that a socket is bound to. */
export type InterfaceState = 'up' | 'down' | 'gone';

/** Their descriptors. @throws AnyhopError ERR_NATIVE */
export function packetSockets(): number[] {
  const out = Buffer.alloc(4 * SOCKETS_MAX);
  const count = anyhopLibrary.call('ERR_NATIVE', 'anyhop_packet_sockets', out, SOCKETS_MAX);
  return Array.from({ length: Math.min(count, SOCKETS_MAX) }, (_, i) => out.readUInt32LE(4 * i));
}

/** A packet socket whose errors do not show under its former descriptor. */
export class ShieldedSocket {
  readonly #kept: number;
  readonly #ask: () => number;
  #isOpen = true;

  /**
   * @param fd of a packet socket that no event loop polls yet; from now on it can only be polled and closed
   * @throws AnyhopError ERR_NATIVE
   */
  constructor(fd: number) {
    this.#kept = anyhopLibrary.call('ERR_NATIVE', 'anyhop_capture_shield', fd);
    this.#ask = anyhopLibrary.repeated('anyhop_capture_state', this.#kept);
  }

  /** Clears the socket's error, which would make it readable. Takes some 3 us. */
  interfaceState(): InterfaceState {
    const result = this.#ask();
    if (result === 0) return 'up';
    return result === -constants.errno.ENETDOWN ? 'down' : 'gone';
  }

  close(): void {
    if (this.#isOpen) anyhopLibrary.attempt('anyhop_close', this.#kept);
    this.#isOpen = false;
  }
}
