/** Where this process is: processes of several network namespaces may share /run. */
import { statSync } from 'node:fs';

/** The inode number of the network namespace. */
export function networkNamespace(): number {
  return statSync('/proc/self/ns/net').ino;
}
