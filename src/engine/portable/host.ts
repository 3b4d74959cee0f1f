/**
 * Keeps the host's own stack from handling the packets that the portable engine handles, and takes that back.
 *
 * While guarded: packets for the VIPs on the interface are dropped behind the packet sockets, offloads that do not go
 * with libpcap are off, and no other anyhop can have the interface. `release` restores all of it. A process that is killed leaves
 * the nftables table (`anyhop_<interface>`) and the offloads as they were set: the host goes on ignoring the VIPs. The
 * next start replaces the one and remembers the other, so that its own stop leaves the host as it was at first. By
 * hand: `nft delete table netdev anyhop_eth0; ethtool -K eth0 gro on`.
 */
import type { RunTool } from '../../core/tool.js';
import { runTool } from '../../ffi/tool.js';
import { type Link, requireEthernetLink } from '../../underlay/link.js';
import { lockInterface } from '../../underlay/lock.js';
import {
  type HostFilter,
  installFilter,
  readFilterComment,
  removeFilter,
  replaceElements,
} from '../host-filter.js';
import { isOffload, switchOffloads, unfitOffloads } from './offload.js';
import { requirePortable } from './requirements.js';

export interface HostGuard {
  readonly link: Link & { readonly mac: Uint8Array };
  /** Offloads that are off because of us, by ethtool's names. */
  readonly switchedOff: readonly string[];
  /** A table of a predecessor that was killed has been replaced. */
  readonly replacedStale: boolean;
  /**
   * Keeps the host away from packets for these VIPs from now on, and no others.
   * @throws AnyhopError ERR_TOOL; the former ones go on then
   */
  setFilter(filter: HostFilter): Promise<void>;
  /** Installs the filter again after somebody has removed it. @throws AnyhopError ERR_TOOL */
  putBack(filter: HostFilter): Promise<void>;
  /** Gives everything back; call it once the engine has stopped. */
  release(): Promise<void>;
}

/** What a test puts in the place of the system. */
export interface HostGuardOptions {
  readonly run?: RunTool;
  /** Text of /proc/self/status. */
  readonly processStatus?: string;
}

/**
 * @param interfaceName where packets for the VIPs come in
 * @param filter what the host must not handle; without addresses, those in frames for the interface's own
 * @throws AnyhopError ERR_CAPABILITY, ERR_INTERFACE (not there, down, not Ethernet, in use by another anyhop, or with
 * an offload that cannot be switched off), ERR_TOOL; nothing is changed then
 */
export async function guardHost(
  interfaceName: string,
  { vips, macs }: HostFilter,
  { run = runTool, processStatus }: HostGuardOptions = {},
): Promise<HostGuard> {
  requirePortable(processStatus);
  const link = await requireEthernetLink(interfaceName, run);
  const filter = { vips, macs: macs.length > 0 ? macs : [link.mac] };
  const lock = await lockInterface('run', interfaceName, run);
  try {
    const stale = await readFilterComment(interfaceName, run);
    const inherited = (stale ?? '').split(' ').filter(isOffload);
    const on = await unfitOffloads(interfaceName, run);
    const switchedOff = [...new Set([...inherited, ...on])];
    // The comment comes before the deed: a kill between the two is remembered as well.
    await installFilter(interfaceName, filter, `off: ${switchedOff.join(' ')}`, run);
    const restore = async (): Promise<void> => {
      const done = await Promise.allSettled([
        switchOffloads(interfaceName, switchedOff, 'on', run).catch(async (error: unknown) => {
          if (await isThere(interfaceName, run)) throw error;
        }),
        removeFilter(interfaceName, run),
      ]);
      for (const each of done) if (each.status === 'rejected') throw each.reason;
    };
    await switchOffloads(interfaceName, on, 'off', run).catch(async (error: unknown) => {
      await restore();
      throw error;
    });
    return {
      link,
      switchedOff,
      replacedStale: stale !== undefined,
      setFilter: (now) => replaceElements(interfaceName, now, run),
      putBack: (now) => installFilter(interfaceName, now, `off: ${switchedOff.join(' ')}`, run),
      release: () => restore().finally(() => lock.release()),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** An interface that is gone has nothing to be given back. */
async function isThere(interfaceName: string, run: RunTool): Promise<boolean> {
  return (await run('ip', ['link', 'show', 'dev', interfaceName])).code === 0;
}
