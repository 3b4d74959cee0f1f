/** What the agent asks the machine, gathered in one place so that the checks can be tried on machines that are not there. */
import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type AttachedXdp, attachedXdp } from '../ffi/bpf.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import { pinnedProgram } from './pins.js';

export interface System {
  /** The trimmed text of a file under /proc or /sys; undefined when it cannot be read. */
  read(path: string): string | undefined;
  interfaces(): string[];
  /** Addresses of all interfaces that are up. */
  addresses(): IpAddress[];
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
  interfaces: () => readdirSync('/sys/class/net').sort(),
  addresses: () =>
    Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .flatMap(({ address }) => parseAddress(address.replace(/%.*/, '')) ?? []),
  attachedXdp,
  pinnedProgram,
};
