/** Packets that come to this host, or leave it, and pass a filter, read now and then (native/lib/packet-socket.c). */
import { Descriptor } from './descriptor.js';
import { anyhopLibrary } from './library.js';

/** The index of the interface, and the length. */
const HEAD_BYTES = 8;

export interface PacketSocketOptions {
  /** Packets that leave this host, instead of those that come to it; the filter then has to tell the IP version. */
  readonly leaving?: boolean;
}

export interface SeenPacket {
  /** Of the interface. */
  readonly index: number;
  readonly packet: Buffer;
}

export class PacketSocket {
  readonly #descriptor: Descriptor;
  readonly #slot: number;
  readonly #most: number;
  readonly #leaving: 0 | 1;
  readonly #out: Buffer;

  /**
   * @param filter instructions of src/packet/socket-filter.ts; offsets are in the IP packet
   * @param bytes that are kept of a packet, a multiple of 4
   * @param most packets that one reading takes
   * @throws AnyhopError ERR_CAPABILITY when the kernel refuses the socket, which needs CAP_NET_RAW
   */
  constructor(
    family: 4 | 6,
    filter: Buffer,
    bytes: number,
    most: number,
    { leaving = false }: PacketSocketOptions = {},
  ) {
    this.#leaving = leaving ? 1 : 0;
    this.#descriptor = new Descriptor(
      anyhopLibrary.call(
        'ERR_CAPABILITY',
        'anyhop_packet_socket',
        family,
        this.#leaving,
        filter,
        filter.length,
      ),
    );
    this.#slot = HEAD_BYTES + bytes;
    this.#most = most;
    this.#out = Buffer.alloc(this.#slot * most);
  }

  /** The packets since the last read, oldest first; valid until the next read. @throws AnyhopError ERR_NATIVE */
  read(): Buffer[] {
    return this.readSeen().map(({ packet }) => packet);
  }

  /** The same with the interface that each came or left by. */
  readSeen(): SeenPacket[] {
    const { fd } = this.#descriptor;
    const count = anyhopLibrary.call(
      'ERR_NATIVE',
      'anyhop_packet_read',
      fd,
      this.#leaving,
      this.#out,
      this.#slot,
      this.#most,
    );
    return Array.from({ length: count }, (_, i) => {
      const at = i * this.#slot;
      const start = at + HEAD_BYTES;
      const packet = this.#out.subarray(start, start + this.#out.readUInt32LE(at + 4));
      return { index: this.#out.readUInt32LE(at), packet };
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
