/** Loaded before a program (node --import): names each BPF object that the kernel is asked to load, on standard error. */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';

interface Call {
  readonly funcName: string;
  readonly paramsValue: readonly unknown[];
}

// What the program imports of it is taken from here, at its first import.
const ffi = createRequire(import.meta.url)('ffi-rs') as { load: (call: Call) => unknown };
const { load } = ffi;
let path: unknown;
ffi.load = (call) => {
  if (call.funcName === 'anyhop_bpf_open') [path] = call.paramsValue;
  if (call.funcName === 'anyhop_bpf_load') writeSync(2, `loads ${path}\n`);
  return load(call);
};
