/** BPF objects for benches, tests and the generator: the program's own `BpfObject`, and what no node needs of one. */
import { fileURLToPath } from 'node:url';
import { BpfObject } from '#anyhop/ffi/bpf.js';
import { NativeLibrary } from '#anyhop/ffi/library.js';
import { MappedArray } from '#anyhop/ffi/map.js';

const nativeFile = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** Everything of native/dev. */
export const devLibrary = new NativeLibrary('anyhop-dev', nativeFile('build/native/libanyhop-dev.so'));

/** The path of an object of native/dev, built into build/native. */
export const devObjectPath = (name: string): string => nativeFile(`build/native/${name}.bpf.o`);

export class DevObject extends BpfObject {
  /** An mmapable map, or the global variables (".bss"); valid for as long as the process lives. */
  memory(map: string): ArrayBuffer {
    const { descriptor, memory } = new MappedArray(this.map(map));
    descriptor.close();
    return memory;
  }

  /** Lets a tail call through the program array `map` at 0 go to a program of `target`. */
  tailCall(map: string, target: BpfObject, program: string): void {
    target.withProgram(program, ({ fd }) => {
      const value = Buffer.alloc(4);
      value.writeInt32LE(fd);
      this.fill(map, [[Buffer.alloc(4), value]]);
    });
  }

  /** Runs a program many times over on one frame. @returns the CPU time a run, in ns, and the last XDP action */
  timeRuns(program: string, frame: Buffer, repeat: number): { ns: number; action: number } {
    const out = Buffer.alloc(8);
    const action = this.withProgram(program, ({ fd }) =>
      devLibrary.call('ERR_BPF', 'anyhop_dev_test_run', fd, frame, frame.length, repeat, out),
    );
    return { ns: Number(out.readBigUInt64LE(0)) / repeat, action };
  }
}

/** Runs `program` of each object at once, the first on CPU 0 and so on. @returns the CPU time a run, in ns, of each */
export function timeRunsAtOnce(
  objects: readonly DevObject[],
  program: string,
  frame: Buffer,
  repeat: number,
): number[] {
  const descriptors = objects.map((object) => object.program(program));
  try {
    const programs = Buffer.from(Int32Array.from(descriptors, ({ fd }) => fd).buffer);
    const out = Buffer.alloc(8 * objects.length);
    devLibrary.call(
      'ERR_BPF',
      'anyhop_dev_test_run_each',
      programs,
      objects.length,
      frame,
      frame.length,
      repeat,
      out,
    );
    return objects.map((_, i) => Number(out.readBigUInt64LE(8 * i)) / repeat);
  } finally {
    for (const descriptor of descriptors) descriptor.close();
  }
}
