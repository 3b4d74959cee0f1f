/** Loaded before a program (node --import): the link of an attached XDP program cannot be pinned, the last thing that a start needs. */
import { AnyhopError } from '#anyhop/core/errors.js';
import { type NativeArgument, NativeLibrary } from '#anyhop/ffi/library.js';

const { call } = NativeLibrary.prototype;
NativeLibrary.prototype.call = function (
  this: NativeLibrary,
  code,
  name: string,
  ...values: NativeArgument[]
) {
  if (name === 'anyhop_pin' && String(values[1]).endsWith('/link')) {
    throw new AnyhopError(code, 'no pin for a link');
  }
  return call.call(this, code, name, ...values);
};
