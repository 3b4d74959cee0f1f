/** What several engines need of the machine, and the words of those who lack it. */

import { type Capability, missingCapabilities } from '../core/capability.js';
import { AnyhopError } from '../core/errors.js';
import type { EngineName } from './contract.js';

/** The first kernel with BPF links for XDP; everything else that the engines need is older. */
const KERNEL_MIN = [5, 9] as const;

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
