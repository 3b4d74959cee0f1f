/** Takes off an interface what an agent has left there: for `anyhop agent --stop`. */
import { AnyhopError } from '../core/errors.js';
import { attachedXdp, type XdpMode } from '../ffi/bpf.js';
import { detachByNetlink, programById } from '../ffi/netlink.js';
import { findAttachment } from '../pins/attachment.js';
import { isBpffs, pinDirectory } from '../pins/directory.js';
import { readLinks } from '../underlay/link.js';
import { lockLeftovers } from '../underlay/lock.js';
import { AGENT_PINS, removePins } from './pins.js';
import { AGENT_PROGRAM } from './program.js';

export interface AgentPlace {
  readonly interface: string;
  readonly bpffs: string;
}

export interface RemovedAgent {
  /** What delivered until now; undefined when pins were left of a program that was attached no more. */
  readonly attached: { readonly mode: XdpMode; readonly programId: number } | undefined;
}

/**
 * @returns undefined when there was nothing
 * @throws AnyhopError ERR_INTERFACE when an agent runs on the interface, or there is none of this name and nothing is left of
 *   one; ERR_BPF when this user may not have what is there
 */
export async function removeAgent({ interface: name, bpffs }: AgentPlace): Promise<RemovedAgent | undefined> {
  const lock = await lockLeftovers('agent', name).catch((cause: AnyhopError) => {
    if (cause.cause !== undefined) throw cause;
    throw new AnyhopError('ERR_INTERFACE', cause.message, {
      hint: `End it first: SIGINT (Ctrl-C) also takes its program off ${name}, SIGTERM leaves that to "anyhop agent --stop".`,
      cause,
    });
  });
  try {
    const index = (await readLinks()).get(name)?.index;
    const directory = isBpffs(bpffs, AGENT_PINS) ? pinDirectory(bpffs, name, AGENT_PINS) : undefined;
    const attached =
      index === undefined ? undefined : (detachPinned(directory, index) ?? detachLeftover(index, name));
    const hadPins = directory !== undefined && removePins(directory);
    if (attached === undefined && !hadPins && index === undefined) {
      throw new AnyhopError('ERR_INTERFACE', `there is no interface ${name}, and nothing is left of one`, {
        hint: 'See which there are: ip -br link',
      });
    }
    return attached !== undefined || hadPins ? { attached } : undefined;
  } finally {
    await lock.release();
  }
}

/** Behind a link that is pinned there. */
function detachPinned(directory: string | undefined, interfaceIndex: number): RemovedAgent['attached'] {
  const attachment = directory === undefined ? undefined : findAttachment(directory, interfaceIndex);
  if (attachment === undefined) return undefined;
  const { mode, programId, link } = attachment;
  link.detach();
  link.descriptor.close();
  return { mode, programId };
}

/** Left there by netlink: the kernel tells whose it is by its name. */
function detachLeftover(interfaceIndex: number, name: string): RemovedAgent['attached'] {
  const attached = attachedXdp(interfaceIndex);
  if (attached === undefined || attached.mode === 'offloaded') return undefined;
  const { mode, id } = attached;
  if (attached.name === undefined) {
    throw new AnyhopError(
      'ERR_BPF',
      `${name} has an XDP program (id ${id}), and whose it is cannot be told`,
      {
        hint: 'Run this as root: CAP_SYS_ADMIN is needed to see, and to take off, what has no pin.',
      },
    );
  }
  if (attached.name !== AGENT_PROGRAM) return undefined;
  const program = programById(id);
  try {
    const problem = detachByNetlink(program, interfaceIndex, mode);
    if (problem === undefined) return { mode, programId: id };
    throw new AnyhopError('ERR_BPF', `program ${id} cannot be taken off ${name}: ${problem}`, {
      hint: 'If it hangs on a link that is pinned in another BPF file system, name that one: --bpffs DIRECTORY',
    });
  } finally {
    program.close();
  }
}
