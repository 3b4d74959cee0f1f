/** An mmapable array (BPF_F_MMAPABLE) as memory shared with BPF programs: read and written without a system call. */
import { Descriptor } from './descriptor.js';
import { anyhopLibrary } from './library.js';

export class MappedArray {
  readonly descriptor: Descriptor;
  /** Bytes from one element to the next. */
  readonly elementBytes: number;
  readonly elements: number;
  /** All elements. Do not use views on it once the array is closed. */
  readonly memory: ArrayBuffer;
  #open = true;

  /** @param descriptor of the map, which this object closes */
  constructor(descriptor: Descriptor) {
    try {
      const shape = Buffer.alloc(8);
      anyhopLibrary.call('ERR_BPF', 'anyhop_map_shape', descriptor.fd, shape);
      this.descriptor = descriptor;
      this.elementBytes = Math.ceil(shape.readUInt32LE(0) / 8) * 8; // as the kernel lays them out
      this.elements = shape.readUInt32LE(4);
      const bytes = this.elementBytes * this.elements;
      this.memory = anyhopLibrary.memory('ERR_BPF', bytes, 'anyhop_map_memory', descriptor.fd, bytes);
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }

  /** A new array of one element. @param name in the kernel, 15 characters at most */
  static create(name: string, bytes: number): MappedArray {
    return new MappedArray(new Descriptor(anyhopLibrary.call('ERR_BPF', 'anyhop_map_create', name, bytes)));
  }

  static pinned(path: string): MappedArray {
    return new MappedArray(Descriptor.pinned(path));
  }

  /** Unmaps the memory and closes the map; idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    anyhopLibrary.attempt('anyhop_map_unmap', Buffer.from(this.memory), this.memory.byteLength);
    this.descriptor.close();
  }
}

/** How many elements a map with one for each CPU has. */
export function possibleCpus(): number {
  return anyhopLibrary.call('ERR_BPF', 'anyhop_cpus');
}
