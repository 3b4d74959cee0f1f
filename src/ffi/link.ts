/** Programs on an interface by a BPF link (native/lib/link.c): pinnable, and replaced in one step. */
import { MODE_NUMBER, type XdpMode } from './bpf.js';
import { Descriptor } from './descriptor.js';
import { anyhopLibrary } from './library.js';

export interface LinkInfo {
  /** The kernel's number of the program that is behind it. */
  readonly programId: number;
  /** 0 when the interface is gone, or the link has been detached. */
  readonly interfaceIndex: number;
}

class ProgramLink {
  readonly descriptor: Descriptor;

  protected constructor(descriptor: Descriptor) {
    this.descriptor = descriptor;
  }

  info(): LinkInfo {
    const out = Buffer.alloc(8);
    anyhopLibrary.call('ERR_BPF', 'anyhop_link_info', this.descriptor.fd, out);
    return { programId: out.readUInt32LE(0), interfaceIndex: out.readUInt32LE(4) };
  }

  /** Replaces the attached program; each packet meets one or the other. */
  replace(program: Descriptor): void {
    anyhopLibrary.call('ERR_BPF', 'anyhop_link_update', this.descriptor.fd, program.fd);
  }

  /** Takes the program off the interface, whoever else holds the link. */
  detach(): void {
    anyhopLibrary.call('ERR_BPF', 'anyhop_link_detach', this.descriptor.fd);
  }
}

/** Of XDP: exclusive. */
export class XdpLink extends ProgramLink {
  /** Attaches a program to an interface that has none. @returns the link, or why the kernel or the driver refused */
  static create(program: Descriptor, interfaceIndex: number, mode: XdpMode): XdpLink | string {
    const fd = anyhopLibrary.attempt('anyhop_link_create', program.fd, interfaceIndex, MODE_NUMBER[mode]);
    return fd < 0 ? anyhopLibrary.error() : new XdpLink(new Descriptor(fd));
  }

  /** @throws AnyhopError ERR_BPF as Descriptor.pinned */
  static pinned(path: string): XdpLink {
    return new XdpLink(Descriptor.pinned(path));
  }
}

/** Of tc, at the ingress: beside programs of others. */
export class IngressLink extends ProgramLink {
  /** @throws AnyhopError ERR_BPF with the kernel's words */
  static create(program: Descriptor, interfaceIndex: number): IngressLink {
    const fd = anyhopLibrary.call('ERR_BPF', 'anyhop_link_ingress', program.fd, interfaceIndex);
    return new IngressLink(new Descriptor(fd));
  }

  /** @throws AnyhopError ERR_BPF as Descriptor.pinned */
  static pinned(path: string): IngressLink {
    return new IngressLink(Descriptor.pinned(path));
  }
}
