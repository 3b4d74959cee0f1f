/** Received packets that pass a filter, read now and then (native/lib/packet-socket.c). */
import { Descriptor } from './descriptor.js';
import { anyhopLibrary } from './library.js';

const LENGTH_BYTES = 4;

export class PacketSocket {
  readonly #descriptor: Descriptor;
  readonly #slot: number;
  readonly #most: number;
  readonly #out: Buffer;

  /**
   * @param filter instructions of src/packet/socket-filter.ts; offsets are in the IP packet
   * @param bytes that are kept of a packet, a multiple of 4
   * @param most packets that one reading takes
   * @throws AnyhopError ERR_CAPABILITY when the kernel refuses the socket, which needs CAP_NET_RAW
   */
  constructor(family: 4 | 6, filter: Buffer, bytes: number, most: number) {
    this.#descriptor = new Descriptor(
      anyhopLibrary.call('ERR_CAPABILITY', 'anyhop_packet_socket', family, filter, filter.length),
    );
    this.#slot = LENGTH_BYTES + bytes;
    this.#most = most;
    this.#out = Buffer.alloc(this.#slot * most);
  }

  /** The packets since the last read, oldest first; valid until the next read. @throws AnyhopError ERR_NATIVE */
  read(): Buffer[] {
    const { fd } = this.#descriptor;
    const count = anyhopLibrary.call(
      'ERR_NATIVE',
      'anyhop_packet_read',
      fd,
      this.#out,
      this.#slot,
      this.#most,
    );
    return Array.from({ length: count }, (_, i) => {
      const at = i * this.#slot;
      return this.#out.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + this.#out.readUInt32LE(at));
    });
  }

  /** Packets that found no room since the last call. @throws AnyhopError ERR_NATIVE */
  dropped(): number {
    return anyhopLibrary.call('ERR_NATIVE', 'anyhop_packet_dropped', this.#descriptor.fd);
  }

  close(): void {
    this.#descriptor.close();
  }
}
