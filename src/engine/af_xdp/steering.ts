/**
 * The steering program on an interface (native/bpf/steer.bpf.c): packets for VIPs into the sockets, the rest to the host.
 *
 * It belongs to this process. The link is not pinned, so the program goes with the process, however that ends, and the host
 * has its interface back.
 */
import { AnyhopError } from '../../core/errors.js';
import { L } from '../../core/layout.gen.js';
import { BpfObject, type XdpMode } from '../../ffi/bpf.js';
import type { Descriptor } from '../../ffi/descriptor.js';
import { bpfObjectPath } from '../../ffi/library.js';
import type { XdpLink } from '../../ffi/link.js';
import type { XdpSocket } from '../../ffi/xsk.js';
import type { Counters } from '../../forward/counters.js';
import { attachProgram } from '../../pins/attachment.js';
import type { Link } from '../../underlay/link.js';
import { ForwardMaps } from '../maps/forward-maps.js';
import { type ForwardSizes, forwardShape } from '../maps/sizes.js';

/** 32768 places, four times what as many VIPs take as a config may have; the maps have three of these. */
const SEARCH_BYTES = 1024 * 1024;
const SIZES: ForwardSizes = { imageBytes: SEARCH_BYTES, services: 0, backends: 0 };

export class Steering {
  mode: XdpMode;
  /** Why the driver refused native XDP; undefined in native mode. */
  readonly refusal: AnyhopError | undefined;
  readonly #object: BpfObject;
  readonly #maps: ForwardMaps;
  readonly #program: Descriptor;
  readonly #on: Link;
  #link: XdpLink;

  /**
   * Attaches the program to an interface; until the first `publish` it passes everything.
   * @param queues receive queues that will have a socket
   * @throws AnyhopError ERR_BPF when the kernel refuses the program, ERR_INTERFACE when it refuses both modes
   */
  constructor(interfaceLink: Link, queues: number) {
    const shape = forwardShape(SIZES);
    const object = new BpfObject(bpfObjectPath('steer'), {
      ...shape,
      entries: { ...shape.entries, xsks: queues },
    });
    let maps: ForwardMaps | undefined;
    let program: Descriptor | undefined;
    try {
      maps = ForwardMaps.of(object, SIZES);
      program = object.program('anyhop_steer');
      const { link, mode, refusal } = attachProgram(program, interfaceLink);
      this.#object = object;
      this.#maps = maps;
      this.#link = link;
      this.#program = program;
      this.#on = interfaceLink;
      this.mode = mode;
      this.refusal = refusal;
    } catch (error) {
      program?.close();
      maps?.close();
      object.close();
      throw error;
    }
  }

  /** The socket that takes the packets of its queue. */
  connect(socket: Pick<XdpSocket, 'queue' | 'fd'>): void {
    this.#object.fill('xsks', [[word(socket.queue), word(socket.fd)]]);
  }

  /** Steers packets for the VIPs of a search part (`searchPart`, `searchWithout`) from now on, and no others. */
  async publish(search: Uint8Array): Promise<void> {
    if (search.length > SEARCH_BYTES) {
      throw new AnyhopError(
        'ERR_LIMIT',
        `the VIPs take ${search.length} bytes, and there is room for ${SEARCH_BYTES}`,
        {
          hint: 'Fewer VIPs, or other ones: these collide in the search table far more often than chance has it.',
        },
      );
    }
    await this.#maps.publish(search);
  }

  /** What was passed to the host, by verdict. */
  counters(): Counters {
    return this.#maps.counters(0, 0);
  }

  /** Packets for VIPs that came in by a queue without a socket. */
  missed(): number {
    return this.#maps.verdict(L.STEER_MISSED);
  }

  /** Whether the program is still on the interface: a link can be detached by force. */
  isAttached(): boolean {
    return this.#link.info().interfaceIndex !== 0;
  }

  /** Puts the program back that somebody has taken off. @throws AnyhopError ERR_INTERFACE when the interface takes none */
  attachAgain(): void {
    const { link, mode } = attachProgram(this.#program, this.#on);
    this.#link.descriptor.close();
    this.#link = link;
    this.mode = mode;
  }

  /** Takes the program off the interface and gives everything back. */
  close(): void {
    this.#link.descriptor.close();
    this.#program.close();
    this.#maps.close();
    this.#object.close();
  }
}

function word(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}
