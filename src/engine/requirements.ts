/** What several engines need of the machine, and the words of those who lack it. */

import { type Capability, missingCapabilities } from '../core/capability.js';
import { AnyhopError } from '../core/errors.js';
import { attachedXdp } from '../ffi/bpf.js';
import type { Link } from '../underlay/link.js';
import type { EngineName } from './contract.js';

/** The first kernel with BPF links for XDP; everything else that the engines need is older. */
const KERNEL_MIN = [5, 9] as const;

/** The program of the engine xdp: its name in the object file and in the kernel, by which others recognize it. */
export const FORWARD_PROGRAM = 'anyhop_forward';

/** @param kernel its release, `6.1.0-18-amd64`. @throws AnyhopError ERR_BPF */
export function requireKernel(engine: EngineName, kernel: string): void {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  if (major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1])) return;
  throw new AnyhopError('ERR_BPF', `Linux ${kernel} has no BPF links for XDP`, {
    hint: `The engine ${engine} needs Linux ${KERNEL_MIN.join('.')} or later; portable needs none of that.`,
  });
}

/**
 * @param needed by every start
 * @param all these, and those that only some set-ups need
 * @param status text of /proc/self/status
 * @throws AnyhopError ERR_CAPABILITY
 */
export function requireCapabilities(
  engine: EngineName,
  needed: readonly Capability[],
  all: readonly Capability[],
  status: string,
): void {
  const missing = missingCapabilities(needed, status);
  if (missing.length === 0) return;
  throw new AnyhopError('ERR_CAPABILITY', `the engine ${engine} lacks ${missing.join(', ')}`, {
    hint: capabilityHint(all),
  });
}

export function capabilityHint(all: readonly Capability[]): string {
  return (
    'Run it as root (sudo), or give the service all of them (systemd: User=anyhop, ' +
    `AmbientCapabilities=${all.join(' ')}; containers: ${all.map((name) => `--cap-add ${name.slice(4)}`).join(' ')}).`
  );
}

/** @throws AnyhopError ERR_INTERFACE when an XDP program is on the interface; says whose it is, and how to remove it */
export function requireNoProgram({ name, index }: Pick<Link, 'name' | 'index'>): void {
  const attached = attachedXdp(index);
  if (attached === undefined) return;
  const { name: program, mode, id } = attached;
  const stop = `anyhop stop --interface ${name} --bpffs DIRECTORY, the one of that run`;
  const off = `ip link set dev ${name} ${mode === 'generic' ? 'xdpgeneric' : 'xdp'} off`;
  const remove = `If nobody needs it: ${off}; if that is refused, a link holds it: see bpftool link show, and bpftool prog show id ${id}.`;
  throw new AnyhopError(
    'ERR_INTERFACE',
    `${name} has an XDP program already: ${program ?? 'name unknown'} (id ${id}, ${mode})`,
    {
      hint:
        program === FORWARD_PROGRAM
          ? `The engine xdp left it: ${stop}`
          : program === undefined
            ? `If the engine xdp left it: ${stop}. ${remove}`
            : remove,
    },
  );
}
