/** BPF objects: programs and maps in the kernel (native/lib/bpf.c). The owner of a program knows what its keys and values mean. */
import { Descriptor, type TestRun } from './descriptor.js';
import { anyhopLibrary, type NativeArgument } from './library.js';

export type XdpMode = 'native' | 'generic';
export const MODE_NUMBER: Record<XdpMode, number> = { native: 1, generic: 2 };

/** XDP actions as the kernel numbers them (linux/bpf.h). */
export interface AttachedXdp {
  readonly mode: XdpMode | 'offloaded';
  readonly id: number;
  /** Undefined when this process may not ask (CAP_SYS_ADMIN is missing). */
  readonly name: string | undefined;
}

/** What a program is loaded with, by the names of maps and sections. */
export interface ObjectShape {
  /** How many entries a map can hold, 1 at least. */
  readonly entries?: Readonly<Record<string, number>>;
  readonly elementBytes?: Readonly<Record<string, number>>;
  /** Contents of sections of read-only data. */
  readonly constants?: Readonly<Record<string, Buffer>>;
  /** Maps to use instead of new ones, unless their shape differs (see `reused`). */
  readonly reuse?: Readonly<Record<string, Descriptor>>;
}

/** An object file in the kernel. After `close`, an attached program stays attached. */
export class BpfObject {
  /** The maps of `reuse` that it uses. */
  readonly reused: ReadonlySet<string>;
  readonly #object: number;

  /**
   * @param path of the object file (`bpfObjectPath`)
   * @throws AnyhopError ERR_BPF with libbpf's or the verifier's words
   */
  constructor(
    path: string,
    { entries = {}, elementBytes = {}, constants = {}, reuse = {} }: ObjectShape = {},
  ) {
    this.#object = anyhopLibrary.call('ERR_BPF', 'anyhop_bpf_open', path);
    try {
      for (const [map, count] of Object.entries(entries)) this.#call('anyhop_bpf_resize', map, count);
      for (const [map, bytes] of Object.entries(elementBytes)) this.#call('anyhop_bpf_element', map, bytes);
      for (const [section, data] of Object.entries(constants))
        this.#call('anyhop_bpf_constants', section, data, data.length);
      const fitting = Object.entries(reuse).filter(
        ([map, { fd }]) => this.#call('anyhop_bpf_reuse', map, fd) === 1,
      );
      this.reused = new Set(fitting.map(([map]) => map));
      this.#call('anyhop_bpf_load');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #call(name: string, ...values: NativeArgument[]): number {
    return anyhopLibrary.call('ERR_BPF', name, this.#object, ...values);
  }

  close(): void {
    anyhopLibrary.attempt('anyhop_bpf_close', this.#object);
  }

  /** A descriptor of a map, which outlives the object. */
  map(name: string): Descriptor {
    return new Descriptor(this.#call('anyhop_bpf_map', name));
  }

  /** A descriptor of a program, which outlives the object. */
  program(name: string): Descriptor {
    return new Descriptor(this.#call('anyhop_bpf_program', name));
  }

  /** Lends a descriptor of a program to `use`. */
  withProgram<T>(name: string, use: (program: Descriptor) => T): T {
    const program = this.program(name);
    try {
      return use(program);
    } finally {
      program.close();
    }
  }

  /** Writes entries into a map. Keys and values have the map's own lengths. */
  fill(map: string, entries: readonly (readonly [key: Buffer, value: Buffer])[]): void {
    if (entries.length === 0) return;
    anyhopLibrary.call(
      'ERR_BPF',
      'anyhop_bpf_fill',
      this.#object,
      map,
      Buffer.concat(entries.map(([key]) => key)),
      entries[0][0].length,
      Buffer.concat(entries.map(([, value]) => value)),
      entries[0][1].length,
      entries.length,
    );
  }

  /** The first `count` elements of a per-CPU array of 64-bit counters, summed over the CPUs. Exact up to 2^53. */
  sums(map: string, count: number): number[] {
    const out = Buffer.alloc(count * 8);
    anyhopLibrary.call('ERR_BPF', 'anyhop_bpf_sum', this.#object, map, out, count);
    return Array.from({ length: count }, (_, i) => Number(out.readBigUInt64LE(i * 8)));
  }

  /** Runs a program on a frame of 14 bytes or more, without an interface. Needs root. */
  testRun(program: string, frame: Uint8Array): TestRun {
    return this.withProgram(program, (descriptor) => descriptor.testRun(frame));
  }
}

/** The XDP program on an interface; undefined when there is none. */
export function attachedXdp(interfaceIndex: number): AttachedXdp | undefined {
  const out = Buffer.alloc(64);
  const length = anyhopLibrary.call('ERR_BPF', 'anyhop_xdp_attached', interfaceIndex, out, out.length);
  if (length === 0) return undefined;
  const [mode, id, name] = out.toString('utf8', 0, length).split(' ');
  return { mode: mode as AttachedXdp['mode'], id: Number(id), name: name === '' ? undefined : name };
}
