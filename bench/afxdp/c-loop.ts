/**
 * The af_xdp engine with its loop in C (native/dev/xsk-loop.c) in the place of the workers: the same steering program, and
 * one socket, which the development library has opened by the same code.
 */
import { L } from '#anyhop/core/layout.gen.js';
import { FRAMES_PER_QUEUE, requireAfXdp } from '#anyhop/engine/af_xdp/requirements.js';
import { Steering } from '#anyhop/engine/af_xdp/steering.js';
import { searchPart } from '#anyhop/engine/maps/forward-maps.js';
import type { Image } from '#anyhop/image/read.js';
import { devLibrary } from '../../scripts/native/object.js';

export class CLoop {
  readonly #interface: string;
  readonly #busyPollUs: number;
  #steering: Steering | undefined;
  #socket = -1;

  constructor(interfaceName: string, busyPollUs: number) {
    this.#interface = interfaceName;
    this.#busyPollUs = busyPollUs;
  }

  async start(image: Image): Promise<void> {
    const { link, frameBytes } = await requireAfXdp({ interface: this.#interface });
    this.#steering = new Steering(link, 1);
    this.#socket = call('anyhop_xsk_open', link.index, 0, frameBytes, FRAMES_PER_QUEUE, L.HEADROOM);
    call('anyhop_xsk_bind', this.#socket, 0);
    this.#steering.connect({ queue: 0, fd: call('anyhop_xsk_fd', this.#socket) });
    const bytes = Buffer.from(image.bytes);
    call('anyhop_dev_loop_start', this.#socket, link.index, this.#busyPollUs, bytes, bytes.length);
    await this.#steering.publish(searchPart(image));
  }

  /** Frames that it gave the kernel to send. */
  sent(): number {
    const counts = Buffer.alloc(16);
    call('anyhop_dev_loop_counts', counts, counts.length);
    return Number(counts.readBigUInt64LE(0));
  }

  async stop(): Promise<void> {
    call('anyhop_dev_loop_stop');
    this.#steering?.close();
    call('anyhop_xsk_close', this.#socket);
  }
}

function call(name: string, ...values: (number | Buffer)[]): number {
  return devLibrary.call('ERR_BPF', name, ...values);
}
