/**
 * The native library (native/lib, built into dist/native/libanyhop.so), opened on first use, and the only file that
 * imports ffi-rs. It hands out one way to call: numbers, strings and buffers in, a number out; below zero is a
 * failure, whose words the library then has.
 *
 * What to beware of: a call costs some 3 us, so never one a packet. Buffers are shared with C, not copied, and must be
 * Buffers of at least one byte. ffi-rs keeps one table of libraries for all threads without a lock: call from the
 * main thread, or from one worker alone.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DataType, load, open } from 'ffi-rs';
import { AnyhopError, type ErrorCode } from '../core/errors.js';
import { LAYOUT_DIGEST } from '../core/layout.gen.js';

const LIBRARY = 'anyhop';
const LAYOUT_BYTES_MAX = 64 * 1024;
const ERROR_BYTES_MAX = 8 * 1024;

/** Where the native parts are: beside the compiled TypeScript. */
const nativePath = (name: string): string => fileURLToPath(new URL(`../native/${name}`, import.meta.url));

export type NativeArgument = number | string | Buffer;

let opened = false;

/** Opens the library and checks that it was built from the same headers as this program. ERR_NATIVE otherwise. */
function openLibrary(): void {
  if (opened) return;
  const path = nativePath('libanyhop.so');
  if (!existsSync(path)) {
    throw new AnyhopError('ERR_NATIVE', `the native library is not there: ${path}`, {
      hint: 'run `make build`',
    });
  }
  const text = Buffer.alloc(LAYOUT_BYTES_MAX);
  let length: number;
  try {
    open({ library: LIBRARY, path });
    length = invoke('anyhop_layout', [text, text.length]);
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
  opened = true;
}

function invoke(name: string, values: readonly NativeArgument[]): number {
  return load({
    library: LIBRARY,
    funcName: name,
    retType: DataType.I32,
    paramsType: values.map((value) =>
      typeof value === 'number'
        ? DataType.I32
        : typeof value === 'string'
          ? DataType.String
          : DataType.U8Array,
    ),
    paramsValue: [...values],
  });
}

/** Calls a function of the library. Returns what it returned: 0 or more, or a negative errno. */
export function tryNative(name: string, ...values: NativeArgument[]): number {
  openLibrary();
  return invoke(name, values);
}

/** The same, but a failure is thrown as an AnyhopError with this code and the library's words. */
export function callNative(code: ErrorCode, name: string, ...values: NativeArgument[]): number {
  const result = tryNative(name, ...values);
  if (result < 0) throw new AnyhopError(code, nativeError());
  return result;
}

/** What the last failed call had to say; one line, then libbpf's own. */
export function nativeError(): string {
  const text = Buffer.alloc(ERROR_BYTES_MAX);
  return text.toString('utf8', 0, tryNative('anyhop_error', text, text.length)).trimEnd();
}

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
