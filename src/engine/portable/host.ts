/**
 * Keeps the host's own stack from handling the packets that the portable engine handles, and takes that back.
 *
 * While guarded: packets for the VIPs on the interface are dropped behind the packet sockets, offloads that do not go
 * with libpcap are off, and no other anyhop can have the interface. `release` restores all of it. A process that is killed leaves
 * the nftables table (`anyhop_<interface>`) and the offloads as they were set: the host goes on ignoring the VIPs. The
 * next start replaces the one and remembers the other, so that its own stop leaves the host as it was at first. By
 * hand: `nft delete table netdev anyhop_eth0; ethtool -K eth0 gro on`.
 */
import { AnyhopError } from '../../core/errors.js';
import { type RunTool, requireTool, runTool } from '../../core/tool.js';
import type { IpAddress } from '../../packet/address.js';
import { type Link, requireEthernetLink } from '../../underlay/link.js';
import { lockInterface } from '../../underlay/lock.js';
import { askKernel } from '../../underlay/route.js';
import { requireCapabilities } from './capability.js';
import { installFilter, readFilterComment, removeFilter, replaceVips } from './filter.js';
import { isOffload, switchOffloads, unfitOffloads } from './offload.js';

export interface HostGuard {
  readonly link: Link & { readonly mac: Uint8Array };
  /** Offloads that are off because of us, by ethtool's names. */
  readonly switchedOff: readonly string[];
  /** A table of a predecessor that was killed has been replaced. */
  readonly replacedStale: boolean;
  /**
   * Keeps the host away from packets for these VIPs from now on, and no others.
   * @throws AnyhopError ERR_VIP_LOCAL, ERR_TOOL; the former ones go on then
   */
  setVips(vips: readonly IpAddress[]): Promise<void>;
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
 * @param vips what the host must not handle
 * @throws AnyhopError ERR_CAPABILITY, ERR_INTERFACE (not there, down, not Ethernet, in use by another anyhop, or with
 * an offload that cannot be switched off), ERR_VIP_LOCAL, ERR_TOOL; nothing is changed then
 */
export async function guardHost(
  interfaceName: string,
  vips: readonly IpAddress[],
  { run = runTool, processStatus }: HostGuardOptions = {},
): Promise<HostGuard> {
  requireCapabilities(processStatus);
  const link = await requireEthernetLink(interfaceName, run);
  await requireVipsNotLocal(vips, run);
  const lock = await lockInterface('run', interfaceName);
  try {
    const stale = await readFilterComment(interfaceName, run);
    const inherited = (stale ?? '').split(' ').filter(isOffload);
    const on = await unfitOffloads(interfaceName, run);
    const switchedOff = [...new Set([...inherited, ...on])];
    // The comment comes before the deed: a kill between the two is remembered as well.
    await installFilter(interfaceName, vips, `off: ${switchedOff.join(' ')}`, run);
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
      async setVips(now) {
        await requireVipsNotLocal(now, run);
        await replaceVips(interfaceName, now, run);
      },
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

/**
 * A VIP that is an address of the host would be answered by the host's own sockets.
 * @throws AnyhopError ERR_VIP_LOCAL
 */
async function requireVipsNotLocal(vips: readonly IpAddress[], run: RunTool): Promise<void> {
  if (vips.length === 0) return;
  const holders = new Map<string, string>();
  const links: { ifname: string; addr_info: { local?: string; prefixlen: number }[] }[] = JSON.parse(
    await requireTool(run, 'ip', ['-json', 'addr', 'show']),
  );
  for (const { ifname, addr_info } of links) {
    for (const { local, prefixlen } of addr_info) {
      if (local !== undefined) holders.set(local, `ip addr del ${local}/${prefixlen} dev ${ifname}`);
    }
  }
  // Local routes (`ip route add local ...`) make addresses the host's own without listing them.
  const answers = await askKernel(vips, run);
  for (const [i, vip] of vips.entries()) {
    const command = holders.get(vip.text);
    const answer = answers[i];
    const isLocal = typeof answer !== 'string' && answer.type === 'local';
    if (command === undefined && !isLocal) continue;
    throw new AnyhopError('ERR_VIP_LOCAL', `the VIP ${vip.text} is an address of this host`, {
      hint:
        `With the portable engine the host must not answer for it: ${command ?? `ip route get ${vip.text} shows the local route`}. ` +
        'The VIP belongs on the backends; routers send packets for it to the interface.',
    });
  }
}
