/**
 * What the portable engine must be allowed to do: open packet and raw sockets (CAP_NET_RAW), and change the host's
 * filter and the interface's offloads through nft and ethtool (CAP_NET_ADMIN), which a child process has only when the
 * user is root or the capabilities are ambient ones.
 */
import { readFileSync } from 'node:fs';
import { type Capability, missingCapabilities } from '../../core/capability.js';
import { AnyhopError } from '../../core/errors.js';

const NEEDED: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW'];
const HINT =
  'Run it as root (sudo), or give the service both (systemd: User=anyhop, AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW; ' +
  'containers: --cap-add NET_ADMIN --cap-add NET_RAW).';

/**
 * @param status text of /proc/self/status
 * @throws AnyhopError ERR_CAPABILITY that names what is missing
 */
export function requireCapabilities(status: string = readFileSync('/proc/self/status', 'utf8')): void {
  const missing = missingCapabilities(NEEDED, status);
  if (missing.length > 0) {
    throw new AnyhopError('ERR_CAPABILITY', `the portable engine lacks ${missing.join(' and ')}`, {
      hint: HINT,
    });
  }
  const effectiveUser = Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1]);
  if (effectiveUser === 0 || missingCapabilities(NEEDED, status, 'CapAmb').length === 0) return;
  throw new AnyhopError(
    'ERR_CAPABILITY',
    'the process has CAP_NET_ADMIN and CAP_NET_RAW, but the programs that it starts (nft, ethtool) would not',
    { hint: HINT },
  );
}
