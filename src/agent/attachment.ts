/**
 * How the agent's program is on its interface, and how another takes its place, in one step either way.
 *
 *   a link, pinned    where a BPF file system outlives the process: the holder of the pin exchanges the program with only
 *                     CAP_NET_ADMIN and CAP_BPF, and finds the counters
 *   netlink           where there is none, or where an agent without pins attached its program by netlink: a link cannot replace
 *                     that without a gap. The program stays too when the process ends; the next agent needs CAP_SYS_ADMIN to
 *                     replace it.
 */
import { AnyhopError } from '../core/errors.js';
import { attachedXdp, type BpfObject, type XdpMode } from '../ffi/bpf.js';
import type { Descriptor } from '../ffi/descriptor.js';
import type { XdpLink } from '../ffi/link.js';
import { attachByNetlink, detachByNetlink, programById } from '../ffi/netlink.js';
import { attach, findAttachment, inEitherMode, linkPath } from '../pins/attachment.js';
import { entries } from '../pins/directory.js';
import type { Environment } from './environment.js';
import { AGENT_PROGRAM } from './program.js';

export interface AgentAttachment {
  readonly mode: XdpMode;
  /** Why the driver refused native XDP; undefined in native mode, and where a program was replaced. */
  readonly refusal: AnyhopError | undefined;
  /** The kernel's number of the program. */
  readonly programId: number;
  /** Whether the next agent finds it by a pin, without CAP_SYS_ADMIN. */
  readonly isPinned: boolean;
  /** Puts a program in the place of the one that is attached; each packet meets the one or the other. */
  replace(program: BpfObject): void;
  /** False once somebody took the program off, or the interface is gone. */
  isAttached(): boolean;
  /** Pins its link again when somebody has removed the pin. @returns whether it was gone @throws AnyhopError ERR_BPF */
  keepPinned(): boolean;
  /** Lets go of what is attached, and leaves it. @returns false when it cannot stay: the pin of its link is gone */
  leave(): boolean;
  /** Takes the program off. Returns undefined, or why it could not be. */
  detach(): string | undefined;
}

type Place = Pick<Environment, 'interface' | 'interfaceIndex' | 'mtu' | 'leftover'>;

/**
 * Attaches a program to the interface: in place of one that an agent left there, or newly, in the driver where it supports that, before
 * the stack (generic) otherwise.
 * @param directory of pins; undefined when nothing can be pinned
 * @throws AnyhopError ERR_INTERFACE or ERR_BPF with the kernel's and the driver's words
 */
export function attachAgent(
  program: BpfObject,
  place: Place,
  directory: string | undefined,
): AgentAttachment {
  const { leftover, interfaceIndex } = place;
  if (leftover !== undefined && (directory === undefined || !leftover.isPinned))
    return replaceByNetlink(program, place);
  if (directory === undefined) return attachAnewByNetlink(program, place);
  return program.withProgram(AGENT_PROGRAM, (own) => {
    const found = findAttachment(directory, interfaceIndex);
    if (found === undefined) {
      const on = { ...place, name: place.interface, index: interfaceIndex };
      const { link, mode, refusal } = attach(own, on, directory);
      return new ByLink(link, mode, refusal, place, directory);
    }
    found.link.replace(own);
    return new ByLink(found.link, found.mode, undefined, place, directory);
  });
}

class ByLink implements AgentAttachment {
  readonly isPinned = true;
  readonly mode: XdpMode;
  readonly refusal: AnyhopError | undefined;
  readonly #link: XdpLink;
  readonly #place: Place;
  readonly #directory: string;

  constructor(
    link: XdpLink,
    mode: XdpMode,
    refusal: AnyhopError | undefined,
    place: Place,
    directory: string,
  ) {
    this.#link = link;
    this.mode = mode;
    this.refusal = refusal;
    this.#place = place;
    this.#directory = directory;
  }

  get programId(): number {
    return this.#link.info().programId;
  }

  replace(program: BpfObject): void {
    program.withProgram(AGENT_PROGRAM, (own) => this.#link.replace(own));
  }

  isAttached(): boolean {
    return this.#link.info().interfaceIndex === this.#place.interfaceIndex;
  }

  keepPinned(): boolean {
    if (entries(this.#directory).includes('link')) return false;
    this.#link.descriptor.pin(linkPath(this.#directory));
    return true;
  }

  leave(): boolean {
    // The file system may have been unmounted since, and the pin with it.
    const stays = entries(this.#directory).includes('link');
    this.#link.descriptor.close();
    return stays;
  }

  detach(): undefined {
    this.#link.detach();
    this.#link.descriptor.close();
  }
}

class ByNetlink implements AgentAttachment {
  readonly isPinned = false;
  readonly mode: XdpMode;
  readonly refusal: AnyhopError | undefined;
  #program: Descriptor;
  readonly #interfaceIndex: number;

  constructor(program: Descriptor, mode: XdpMode, refusal: AnyhopError | undefined, interfaceIndex: number) {
    this.#program = program;
    this.mode = mode;
    this.refusal = refusal;
    this.#interfaceIndex = interfaceIndex;
  }

  get programId(): number {
    return this.#program.programId();
  }

  replace(program: BpfObject): void {
    const next = program.program(AGENT_PROGRAM);
    const problem = attachByNetlink(next, this.#interfaceIndex, this.mode, this.#program);
    (problem === undefined ? this.#program : next).close();
    if (problem !== undefined) throw new AnyhopError('ERR_BPF', `the program cannot be replaced: ${problem}`);
    this.#program = next;
  }

  isAttached(): boolean {
    try {
      return attachedXdp(this.#interfaceIndex)?.id === this.programId;
    } catch {
      return false;
    }
  }

  keepPinned(): boolean {
    return false;
  }

  leave(): boolean {
    this.#program.close();
    return true;
  }

  detach(): string | undefined {
    const problem = detachByNetlink(this.#program, this.#interfaceIndex, this.mode);
    this.#program.close();
    return problem;
  }
}

function attachAnewByNetlink(
  object: BpfObject,
  { interface: name, interfaceIndex, mtu }: Place,
): AgentAttachment {
  const program = object.program(AGENT_PROGRAM);
  try {
    const { mode, refusal } = inEitherMode(
      { name, mtu },
      (each) => attachByNetlink(program, interfaceIndex, each) ?? {},
    );
    return new ByNetlink(program, mode, refusal, interfaceIndex);
  } catch (error) {
    program.close();
    throw error;
  }
}

/** Takes the place of a program that an agent left, in the mode that it has. */
function replaceByNetlink(
  object: BpfObject,
  { interface: name, interfaceIndex, leftover }: Place,
): AgentAttachment {
  const mode = leftover!.mode === 'generic' ? 'generic' : 'native';
  const program = object.program(AGENT_PROGRAM);
  let former: Descriptor | undefined;
  try {
    former = programById(leftover!.id);
    const problem = attachByNetlink(program, interfaceIndex, mode, former);
    if (problem === undefined) return new ByNetlink(program, mode, undefined, interfaceIndex);
    throw new AnyhopError('ERR_BPF', `what an agent left on ${name} cannot be replaced: ${problem}`, {
      hint: `If it hangs on a link that is pinned elsewhere, name that BPF file system by agent.bpffs, or: anyhop agent --stop --interface ${name} --bpffs DIRECTORY`,
    });
  } catch (error) {
    program.close();
    throw error;
  } finally {
    former?.close();
  }
}
