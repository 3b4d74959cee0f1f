/**
 * What the engine `portable` must be allowed to do: open packet and raw sockets (CAP_NET_RAW), and change the host's
 * filter and the interface's offloads through nft and ethtool (CAP_NET_ADMIN). A child process has a capability only when
 * the user is root or the capability is an ambient one.
 */
import { readFileSync } from 'node:fs';
import { type Capability, missingCapabilities } from '../../core/capability.js';
import { AnyhopError } from '../../core/errors.js';
import { capabilityHint, requireCapabilities } from '../requirements.js';

const NEEDED: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW'];

/**
 * @param status text of /proc/self/status
 * @throws AnyhopError ERR_CAPABILITY that names what is missing
 */
export function requirePortable(status: string = readFileSync('/proc/self/status', 'utf8')): void {
  requireCapabilities('portable', NEEDED, NEEDED, status);
  const effectiveUser = Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1]);
  if (effectiveUser === 0 || missingCapabilities(NEEDED, status, 'CapAmb').length === 0) return;
  throw new AnyhopError(
    'ERR_CAPABILITY',
    'the process has CAP_NET_ADMIN and CAP_NET_RAW, but the programs that it starts (nft, ethtool) would not',
    { hint: capabilityHint(NEEDED) },
  );
}
