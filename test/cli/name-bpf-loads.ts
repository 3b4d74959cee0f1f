/** Loaded before a program (node --import): names each BPF object that the kernel is asked to load, on standard error. */
import { writeSync } from 'node:fs';
import { type NativeArgument, NativeLibrary } from '#anyhop/ffi/library.js';

const { call } = NativeLibrary.prototype;
let path: NativeArgument | undefined;
NativeLibrary.prototype.call = function (
  this: NativeLibrary,
  code,
  name: string,
  ...values: NativeArgument[]
) {
  if (name === 'anyhop_bpf_open') path = values[0];
  if (name === 'anyhop_bpf_load') writeSync(2, `loads ${path}\n`);
  return call.call(this, code, name, ...values);
};
