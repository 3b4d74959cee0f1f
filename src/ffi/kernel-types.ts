/** What functions the running kernel has, by its own description (native/lib/kernel-types.c). */
import { anyhopLibrary } from './library.js';

/**
 * Takes some 20 ms.
 * @param types a file with BTF in the kernel's place
 * @throws AnyhopError ERR_BPF when the kernel does not describe itself (CONFIG_DEBUG_INFO_BTF)
 */
export function kernelHasFunction(name: string, types = ''): boolean {
  return anyhopLibrary.call('ERR_BPF', 'anyhop_kernel_function', types, name) === 1;
}
