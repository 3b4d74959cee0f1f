/**
 * Native libraries, opened on first use: the program's own (native/lib, built into dist/native/libanyhop.so), and that of tests and
 * benchmarks. The only file that imports ffi-rs. Functions take numbers, strings and buffers, and return a number (negative: a
 * failure, which `error` explains) or native memory.
 *
 * A call costs some 3 us, so never one a packet. Buffers are shared with C, not copied, and have at least one byte.
 *
 * Threads: ffi-rs keeps its tables of libraries and functions for the whole process, without a lock. The first call of a function
 * writes them; later calls only read. So workers call only what the main thread has called before, in a library name of their own
 * (`workerLibrary`), and no library is opened while workers run. Tested with five million calls from four workers beside first
 * calls of the main thread elsewhere.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createExternalBuffer, DataType, isNullPointer, load, open } from 'ffi-rs';
import { AnyhopError, type ErrorCode } from '../core/errors.js';
import { LAYOUT_DIGEST } from '../core/layout.gen.js';

const LAYOUT_BYTES_MAX = 64 * 1024;
const ERROR_BYTES_MAX = 8 * 1024;

export type NativeArgument = number | string | Buffer;

/**
 * One shared library. Every one has `anyhop_layout` and `anyhop_error`, and is refused when it was built from other
 * headers than this program.
 */
export class NativeLibrary {
  readonly #name: string;
  readonly #path: string;
  #opened = false;

  /** @param name of its own for each path: ffi-rs knows libraries by name */
  constructor(name: string, path: string) {
    this.#name = name;
    this.#path = path;
  }

  /** Calls a function. Returns what it returned: 0 or more, or a negative errno. */
  attempt(name: string, ...values: NativeArgument[]): number {
    this.#open();
    return this.#invoke(name, values);
  }

  /** The same, but a failure is thrown as an AnyhopError with this code and the library's words. */
  call(code: ErrorCode, name: string, ...values: NativeArgument[]): number {
    const result = this.attempt(name, ...values);
    if (result < 0) throw new AnyhopError(code, this.error());
    return result;
  }

  /**
   * The native memory that a function returns a pointer to, as an ArrayBuffer without a copy. It must stay mapped for as long as
   * the buffer is used. Make one buffer for one address: V8 refuses a second one only in debug builds.
   *
   * @param bytes how many lie there
   * @throws AnyhopError with this code and the library's words when the function returns NULL
   */
  memory(code: ErrorCode, bytes: number, name: string, ...values: NativeArgument[]): ArrayBuffer {
    this.#open();
    const pointer = load({ ...this.#describe(name, values), retType: DataType.External });
    if (isNullPointer(pointer)) throw new AnyhopError(code, this.error());
    const { buffer } = createExternalBuffer(pointer, bytes); // all of it: nothing before, nothing after
    return buffer as ArrayBuffer;
  }

  /** A function for calls with the same arguments, which are prepared once. */
  repeated(name: string, ...values: NativeArgument[]): () => number {
    this.#open();
    const call = { ...this.#describe(name, values), retType: DataType.I32 } as const;
    return () => load(call);
  }

  /** What the last failed call had to say; one line, then libbpf's own. */
  error(): string {
    const text = Buffer.alloc(ERROR_BYTES_MAX);
    return text.toString('utf8', 0, this.attempt('anyhop_error', text, text.length)).trimEnd();
  }

  /** @throws AnyhopError ERR_NATIVE when it is missing, cannot be loaded, or was built from other headers */
  #open(): void {
    if (this.#opened) return;
    const path = this.#path;
    if (!existsSync(path)) {
      throw new AnyhopError('ERR_NATIVE', `the native library is not there: ${path}`, {
        hint: 'run `make build`',
      });
    }
    const text = Buffer.alloc(LAYOUT_BYTES_MAX);
    let length: number;
    try {
      open({ library: this.#name, path });
      length = this.#invoke('anyhop_layout', [text, text.length]);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AnyhopError('ERR_NATIVE', `the native library ${path} cannot be used: ${reason}`, {
        hint: reason.startsWith('libbpf')
          ? 'install libbpf (Debian: apt-get install libbpf1)'
          : 'build it on this machine: make clean build',
        cause,
      });
    }
    const digest = createHash('sha256')
      .update(text.subarray(0, Math.max(0, length)))
      .digest('hex');
    if (digest !== LAYOUT_DIGEST) {
      throw new AnyhopError(
        'ERR_NATIVE',
        `the native library and the program were built from different layouts (${digest.slice(0, 12)}, ${LAYOUT_DIGEST.slice(0, 12)})`,
        { hint: 'run `make build`' },
      );
    }
    this.#opened = true;
  }

  #invoke(name: string, values: readonly NativeArgument[]): number {
    return load({ ...this.#describe(name, values), retType: DataType.I32 });
  }

  #describe(name: string, values: readonly NativeArgument[]) {
    return {
      library: this.#name,
      funcName: name,
      paramsType: values.map((value) =>
        typeof value === 'number'
          ? DataType.I32
          : typeof value === 'string'
            ? DataType.String
            : DataType.U8Array,
      ),
      paramsValue: [...values],
    };
  }
}

/** Where the native parts are: beside the compiled TypeScript. */
const nativePath = (name: string): string => fileURLToPath(new URL(`../native/${name}`, import.meta.url));

/** The program's own. */
export const anyhopLibrary = new NativeLibrary('anyhop', nativePath('libanyhop.so'));

/** The same file, for workers: `anyhop_layout`, and what src/ffi/xsk.ts calls before they start. */
export const workerLibrary = new NativeLibrary('anyhop-worker', nativePath('libanyhop.so'));

/** The path of a compiled BPF object, `agent` for dist/native/agent.bpf.o. ERR_NATIVE when it is not there. */
export function bpfObjectPath(name: string): string {
  const path = nativePath(`${name}.bpf.o`);
  if (!existsSync(path)) {
    throw new AnyhopError('ERR_NATIVE', `the BPF program is not there: ${path}`, {
      hint: 'run `make build`',
    });
  }
  return path;
}
