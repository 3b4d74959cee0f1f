/** What the agent asks the machine, gathered in one place so that the checks can be tried on machines that are not there. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { AnyhopError } from '../core/errors.js';
import { type AttachedXdp, attachedXdp } from '../ffi/bpf.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import { type Link, readLinks } from '../underlay/link.js';
import { localAmong } from '../underlay/local.js';
import { pinnedProgram } from './pins.js';

export interface System {
  /** The trimmed text of a file under /proc; undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** By name, of this process's network namespace: /sys may be another one's (nsenter, a unit's NetworkNamespacePath). */
  links(): Promise<ReadonlyMap<string, Link>>;
  /** Addresses of all interfaces that are up. */
  addresses(): IpAddress[];
  /** Those of some addresses that the kernel keeps for this host, by an address or a local route; canonical texts. */
  localAmong(addresses: readonly IpAddress[]): Promise<ReadonlySet<string>>;
  attachedXdp(interfaceIndex: number): AttachedXdp | undefined;
  /** Id of the program that an agent left on an interface by a pinned link. */
  pinnedProgram(bpffs: string, interfaceName: string, interfaceIndex: number): number | undefined;
}

export const thisSystem: System = {
  read(path) {
    try {
      return readFileSync(path, 'latin1').trim();
    } catch {
      return undefined;
    }
  },
  links: readLinks,
  addresses: () =>
    Object.values(requireInterfaces())
      .flatMap((list) => list ?? [])
      .flatMap(({ address }) => parseAddress(address.replace(/%.*/, '')) ?? []),
  localAmong: (addresses) => localAmong(addresses),
  attachedXdp,
  pinnedProgram,
};

/** @throws AnyhopError ERR_ADDRESS when the kernel cannot be asked: that takes a descriptor */
function requireInterfaces(): ReturnType<typeof networkInterfaces> {
  try {
    return networkInterfaces();
  } catch (cause) {
    const { info } = cause as { info?: { message?: string } };
    const why = info?.message ?? (cause as Error).message;
    throw new AnyhopError('ERR_ADDRESS', `the addresses of this host cannot be read: ${why}`, { cause });
  }
}
