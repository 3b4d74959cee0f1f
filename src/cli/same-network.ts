/**
 * Whether a node's process is in this network namespace. Its control socket is a file, so it can be seen from other namespaces of the
 * machine, where addresses, routes and interfaces are others.
 */
import { statSync } from 'node:fs';

/** True as well when one cannot tell, as from another PID namespace. @param pid as the node says it */
export function isInThisNetwork(pid: number | undefined): boolean {
  if (!Number.isSafeInteger(pid)) return true;
  try {
    return statSync(`/proc/${pid}/ns/net`).ino === statSync('/proc/self/ns/net').ino;
  } catch {
    return true;
  }
}
