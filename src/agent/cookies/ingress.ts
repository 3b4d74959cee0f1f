/**
 * The program at tc ingress that makes the kernel take SYN cookies (native/bpf/cookies.bpf.c), and what of it outlives the agent: its link
 * and its counts, pinned beside the link of XDP.
 *
 *     ingress            the BPF link: programs and qdiscs of others at the ingress stay as they are
 *     cookies-<digest>   what became of cookies; the digest is that of the names of it
 *
 * It has to be on the interface before an XDP program marks packets for it, and until none does. It knows nothing of the config, so it is
 * loaded once by each agent, in the place of the former agent's, and XDP programs come and go with its clock.
 */
import { createHash } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { AGENT_COOKIES } from '../../core/layout.gen.js';
import { BpfObject } from '../../ffi/bpf.js';
import { Descriptor } from '../../ffi/descriptor.js';
import { bpfObjectPath } from '../../ffi/library.js';
import { IngressLink } from '../../ffi/link.js';
import { entries } from '../../pins/directory.js';
import { u32 } from '../tables.js';
import { clockBytes } from './clock.js';

const PROGRAM = 'anyhop_cookies';
const LINK_PIN = 'ingress';
const NAMES = AGENT_COOKIES.map(({ name }) => name).join();
const COUNTS_PIN = `cookies-${createHash('sha256').update(NAMES).digest('hex').slice(0, 16)}`;

/** What it pins. */
export const INGRESS_PINS: readonly string[] = [LINK_PIN, COUNTS_PIN];

export class Ingress {
  readonly #object: BpfObject;
  readonly #directory: string;
  readonly #interfaceIndex: number;
  #link: IngressLink;

  private constructor(object: BpfObject, directory: string, interfaceIndex: number, link: IngressLink) {
    this.#object = object;
    this.#directory = directory;
    this.#interfaceIndex = interfaceIndex;
    this.#link = link;
  }

  /**
   * Puts the program on the interface, in the place of a former agent's.
   * @throws AnyhopError ERR_BPF when the kernel refuses it, or has no such links (before 6.6)
   */
  static open(directory: string, interfaceIndex: number): Ingress {
    const there = entries(directory);
    const counts = there.includes(COUNTS_PIN) ? Descriptor.pinned(join(directory, COUNTS_PIN)) : undefined;
    let object: BpfObject | undefined;
    try {
      object = new BpfObject(bpfObjectPath('cookies'), {
        ...(counts !== undefined && { reuse: { cookies: counts } }),
      });
      object.fill('clock', [[u32(0), clockBytes()]]);
      const link = object.withProgram(PROGRAM, (own) => attach(own, directory, interfaceIndex));
      const made = new Ingress(object, directory, interfaceIndex, link);
      made.keepPinned();
      return made;
    } catch (error) {
      object?.close();
      throw error;
    } finally {
      counts?.close();
    }
  }

  /** Descriptors of what it shares with the XDP program, to be closed. */
  shared(): Record<'clock' | 'cookies', Descriptor> {
    return { clock: this.#object.map('clock'), cookies: this.#object.map('cookies') };
  }

  /** To be called each second: the clock of the host may be set. */
  tick(): void {
    this.#object.fill('clock', [[u32(0), clockBytes()]]);
  }

  /** Packets by what became of them, since the program was first put on the interface. */
  counts(): Record<string, number> {
    const sums = this.#object.sums('cookies', AGENT_COOKIES.length);
    return Object.fromEntries(AGENT_COOKIES.map(({ name }, i) => [name, sums[i]]));
  }

  /** False once somebody took the program off, or the interface is gone. */
  isAttached(): boolean {
    return this.#link.info().interfaceIndex === this.#interfaceIndex;
  }

  /** Attaches it again. @throws AnyhopError ERR_BPF */
  attachAgain(): void {
    const link = this.#object.withProgram(PROGRAM, (own) => IngressLink.create(own, this.#interfaceIndex));
    this.#link.descriptor.close();
    this.#link = link;
    if (entries(this.#directory).includes(LINK_PIN)) unlinkSync(join(this.#directory, LINK_PIN));
    this.keepPinned();
  }

  /** Pins again what somebody has removed. @returns whether something was gone */
  keepPinned(): boolean {
    const there = entries(this.#directory);
    if (!there.includes(LINK_PIN)) this.#link.descriptor.pin(join(this.#directory, LINK_PIN));
    if (!there.includes(COUNTS_PIN)) {
      const counts = this.#object.map('cookies');
      try {
        counts.pin(join(this.#directory, COUNTS_PIN));
      } finally {
        counts.close();
      }
    }
    return INGRESS_PINS.some((pin) => !there.includes(pin));
  }

  /** Lets go of it, and leaves it. */
  leave(): void {
    this.#link.descriptor.close();
    this.#object.close();
  }

  /** Takes it off. */
  remove(): void {
    this.#link.detach();
    for (const pin of INGRESS_PINS)
      if (entries(this.#directory).includes(pin)) unlinkSync(join(this.#directory, pin));
    this.leave();
  }
}

/** In the place of a program that is there by a pinned link, or anew. */
function attach(program: Descriptor, directory: string, interfaceIndex: number): IngressLink {
  if (entries(directory).includes(LINK_PIN)) {
    const link = IngressLink.pinned(join(directory, LINK_PIN));
    if (link.info().interfaceIndex === interfaceIndex) {
      link.replace(program);
      return link;
    }
    link.descriptor.close();
    unlinkSync(join(directory, LINK_PIN));
  }
  return IngressLink.create(program, interfaceIndex);
}
