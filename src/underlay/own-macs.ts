/**
 * The MAC addresses of this host on one link. Frames for any of them are for the host, with the packets for VIPs in them.
 *
 *   the interface's own | macvlan, VLAN devices and bridges upon it, and upon these | further unicast addresses of the card
 *
 * keepalived gives a macvlan the virtual address of VRRP (00:00:5e:00:01:ID), for one. What a macvtap takes goes to a virtual
 * machine, and what lies in another network namespace belongs to that.
 */
import { L } from '../core/layout.gen.js';
import type { Logger } from '../core/log.js';
import { type RunTool, requireTool } from '../core/tool.js';
import { runTool } from '../ffi/tool.js';
import { formatMac, parseMac } from '../packet/mac.js';
import { type Link, readLinks } from './link.js';

/** Devices that take frames of the one below under an address of their own. */
const UPPER_KINDS: ReadonlySet<string> = new Set(['macvlan', 'vlan', 'ipvlan', 'macsec']);

/** The devices of these by which the host can take frames that come in by `name`: itself, and what lies upon it. */
function upperLinks(name: string, links: ReadonlyMap<string, Link>): Link[] {
  const found = new Set<Link>();
  const add = (link: Link | undefined): void => {
    if (link === undefined || found.has(link)) return;
    found.add(link);
    if (link.master !== undefined) add(links.get(link.master));
    for (const each of links.values())
      if (each.below === link.name && UPPER_KINDS.has(each.kind ?? '')) add(each);
  };
  add(links.get(name));
  return [...found];
}

/** Further unicast addresses that the interface accepts (`bridge fdb add MAC dev X self`). */
async function readFurtherMacs(name: string, run: RunTool): Promise<Uint8Array[]> {
  const args = ['-json', 'fdb', 'show', 'dev', name];
  const entries: { mac: string; flags?: string[]; state?: string }[] = JSON.parse(
    (await requireTool(run, 'bridge', args)) || '[]',
  );
  return entries.flatMap(({ mac, flags = [], state }) => {
    const bytes = flags.includes('self') && state === 'permanent' ? parseMac(mac) : undefined;
    return bytes === undefined || (bytes[0] & 1) !== 0 ? [] : [bytes];
  });
}

export class OwnMacs {
  readonly #name: string;
  readonly #log: Logger;
  readonly #run: RunTool;
  #macs: readonly Uint8Array[];
  #complaint: string | undefined;

  /** @param mac the interface's own */
  constructor(name: string, mac: Uint8Array, log: Logger, run: RunTool = runTool) {
    this.#name = name;
    this.#macs = [mac];
    this.#log = log;
    this.#run = run;
  }

  /** The interface's own first; as many as an image has room for. */
  current(): readonly Uint8Array[] {
    return this.#macs;
  }

  /** Reads them again. @param links all interfaces, when they have just been read @returns whether anything has changed */
  async refresh(links?: ReadonlyMap<string, Link>): Promise<boolean> {
    const uppers = upperLinks(this.#name, links ?? (await readLinks(this.#run)));
    const own = uppers[0]?.mac;
    if (own === undefined) return false; // gone, or about to come again
    const further = await readFurtherMacs(this.#name, this.#run).catch((error: Error) =>
      this.#said(error.message),
    );
    const others = new Map(
      [...uppers.flatMap(({ mac }) => mac ?? []), ...(further ?? [])].map((mac) => [formatMac(mac), mac]),
    );
    others.delete(formatMac(own));
    // In an order of their own: how the kernel lists them must not make another image.
    const all = [own, ...[...others].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, mac]) => mac)];
    const macs = all.slice(0, 1 + L.OTHER_MACS_MAX);
    const text = macs.map(formatMac).join(', ');
    if (text === this.#macs.map(formatMac).join(', ')) return false;
    this.#macs = macs;
    this.#log.info(
      { event: 'own_mac', mac: formatMac(own), macs: text },
      `frames on ${this.#name} are for this host by ${text}`,
    );
    if (all.length > macs.length) {
      this.#log.warn(
        { event: 'too_many_macs', count: all.length },
        `this host has ${all.length} MAC addresses on ${this.#name}, and an image has room for ${macs.length}: packets for VIPs in ` +
          `frames for ${all.slice(macs.length).map(formatMac).join(', ')} are left to the host`,
      );
    }
    return true;
  }

  #said(why: string): undefined {
    if (why !== this.#complaint) {
      this.#log.warn(
        { event: 'macs_unknown', why },
        `further MAC addresses of ${this.#name} cannot be read: ${why}`,
      );
    }
    this.#complaint = why;
    return undefined;
  }
}
