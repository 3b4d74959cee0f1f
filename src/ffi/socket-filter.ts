/** The value of the socket option SO_ATTACH_FILTER, which holds a pointer (native/lib/filter.c). */
import { anyhopLibrary } from './library.js';

/** struct sock_fprog on 64-bit machines; smaller on others. */
const OPTION_BYTES_MAX = 16;

/**
 * @param instructions in classic BPF, 8 bytes each; keep them unchanged until the option is set
 * @throws AnyhopError ERR_NATIVE when the library cannot be loaded
 */
export function filterOption(instructions: Buffer): Buffer {
  const out = Buffer.alloc(OPTION_BYTES_MAX);
  return out.subarray(
    0,
    anyhopLibrary.call('ERR_NATIVE', 'anyhop_filter_option', instructions, instructions.length, out),
  );
}
