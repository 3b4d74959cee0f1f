/**
 * What a process holds in the kernel: a map, a program or a link, by its file descriptor (native/lib/map.c). It stays until
 * nobody holds it any more; a pin, which is a name in a BPF file system, holds it beyond the process's end.
 */
import { anyhopLibrary } from './library.js';

export class Descriptor {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** @throws AnyhopError ERR_BPF: there is nothing under this path, or this user may not have it */
  static pinned(path: string): Descriptor {
    return new Descriptor(anyhopLibrary.call('ERR_BPF', 'anyhop_pinned', path));
  }

  /** @throws AnyhopError ERR_BPF: the path is taken, or this user may not write there */
  pin(path: string): void {
    anyhopLibrary.call('ERR_BPF', 'anyhop_pin', this.fd, path);
  }

  /** Of a program: the kernel's number. */
  programId(): number {
    return anyhopLibrary.call('ERR_BPF', 'anyhop_program_id', this.fd);
  }

  /** Lets go; again is nothing. */
  close(): void {
    if (this.#open) anyhopLibrary.attempt('anyhop_close', this.fd);
    this.#open = false;
  }
}
