/**
 * BPF objects for benches, tests and the generator, through the development library (native/dev/object.c): what the
 * program's own `BpfObject` leaves out because no node needs it.
 */
import { fileURLToPath } from 'node:url';
import type { Descriptor } from '#anyhop/ffi/descriptor.js';
import { NativeLibrary } from '#anyhop/ffi/library.js';

const nativeFile = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** Everything of native/dev. */
export const devLibrary = new NativeLibrary('anyhop-dev', nativeFile('build/native/libanyhop-dev.so'));

/** The path of an object of native/dev, built into build/native. */
export const devObjectPath = (name: string): string => nativeFile(`build/native/${name}.bpf.o`);

export interface LoadOptions {
  /** Sizes of maps, by their names, where they differ from the object's own. */
  readonly maps?: Readonly<Record<string, { readonly valueBytes: number; readonly entries: number }>>;
  /** Whole sections of read-only data, by their names. */
  readonly constants?: Readonly<Record<string, Buffer>>;
}

/** An object file in the kernel. */
export class DevObject {
  readonly number: number;

  /** @throws AnyhopError ERR_BPF with libbpf's or the verifier's words */
  constructor(path: string, { maps = {}, constants = {} }: LoadOptions = {}) {
    this.number = devLibrary.call('ERR_BPF', 'anyhop_dev_open', path);
    try {
      for (const [map, { valueBytes, entries }] of Object.entries(maps)) {
        devLibrary.call('ERR_BPF', 'anyhop_dev_map_size', this.number, map, valueBytes, entries);
      }
      for (const [section, bytes] of Object.entries(constants)) {
        devLibrary.call('ERR_BPF', 'anyhop_dev_constants', this.number, section, bytes, bytes.length);
      }
      devLibrary.call('ERR_BPF', 'anyhop_dev_load', this.number);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    devLibrary.attempt('anyhop_dev_close', this.number);
  }

  /** The start of an mmapable map, or of the global variables (".bss"); valid for as long as the process lives. */
  memory(map: string, bytes: number): ArrayBuffer {
    return devLibrary.memory('ERR_BPF', bytes, 'anyhop_dev_memory', this.number, map, bytes);
  }

  /** Lets a tail call through the program array `map` at 0 go to a program of `target`. */
  tailCall(map: string, target: DevObject, program: string): void {
    devLibrary.call('ERR_BPF', 'anyhop_dev_tail_call', this.number, map, 0, target.number, program);
  }

  /** The same, to a program that was loaded elsewhere. */
  tailCallTo(map: string, program: Descriptor): void {
    devLibrary.call('ERR_BPF', 'anyhop_dev_tail_call_to', this.number, map, 0, program.fd);
  }

  /** Runs a program many times over on one frame. @returns the CPU time a run, in ns, and the last XDP action */
  testRun(program: string, frame: Buffer, repeat: number): { ns: number; action: number } {
    const out = Buffer.alloc(8);
    const action = devLibrary.call(
      'ERR_BPF',
      'anyhop_dev_test_run',
      this.number,
      program,
      frame,
      frame.length,
      repeat,
      out,
    );
    return { ns: Number(out.readBigUInt64LE(0)) / repeat, action };
  }
}
