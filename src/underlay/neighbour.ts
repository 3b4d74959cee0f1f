/**
 * Reads the kernel's neighbour table (ARP and IPv6 neighbour discovery), and makes the kernel resolve entries.
 *
 * Frames of XDP and AF_XDP bypass the neighbour table. If nobody else sends to a backend's gateway, its entry is never made or checked,
 * and is removed once the table has grown. So the kernel is told to use the entry (NTF_USE), as for a packet to send: it resolves and
 * probes at its own pace, and the entry stays an ordinary one.
 */
import { type RunTool, requireTool } from '../core/tool.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import { parseMac } from '../packet/mac.js';

export interface Neighbour {
  /** `resolved`: its address can be used; `failed`: it was asked and did not answer; `asked`: not known yet. */
  readonly state: 'resolved' | 'failed' | 'asked';
  /** Six bytes; undefined when not known, or not Ethernet. */
  readonly mac: Uint8Array | undefined;
  /** Set by hand or by a routing daemon: it must not be touched. */
  readonly isFixed: boolean;
}

/** An entry's place: an interface and an address on it. */
export interface NeighbourPlace {
  readonly interface: string;
  readonly address: IpAddress;
}

interface IpNeighbour {
  dst: string;
  dev: string;
  lladdr?: string;
  state: string[];
  extern_learn?: null;
  managed?: null;
}

/** The kernel uses the address in each of these states (NUD_VALID in linux/include/net/neighbour.h). */
const USABLE = new Set(['REACHABLE', 'STALE', 'DELAY', 'PROBE', 'PERMANENT', 'NOARP']);
const ETHERNET_TEXT = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;

/** The key of an entry in what `readNeighbours` returns. */
export function neighbourKey(place: NeighbourPlace): string {
  return `${place.interface} ${place.address.text}`;
}

/** All entries of both IP versions, by `neighbourKey`. */
export async function readNeighbours(run: RunTool): Promise<Map<string, Neighbour>> {
  const text = await requireTool(run, 'ip', ['-json', 'neigh', 'show', 'nud', 'all']);
  const list: IpNeighbour[] = JSON.parse(text === '' ? '[]' : text);
  const entries = new Map<string, Neighbour>();
  for (const entry of list) {
    const address = parseAddress(entry.dst);
    if (address !== undefined) entries.set(neighbourKey({ interface: entry.dev, address }), fromIp(entry));
  }
  return entries;
}

/**
 * Makes the kernel find these out, or check them. Fixed entries must not be among them: in using one, the
 * kernel (seen with 6.18) takes what was set by hand off it, and its MAC address with it.
 * @returns what the kernel said against it, or undefined
 */
export async function useNeighbours(
  places: readonly NeighbourPlace[],
  run: RunTool,
): Promise<string | undefined> {
  const commands = places.map(
    ({ interface: name, address }) => `neigh replace ${address.text} dev ${name} nud none use\n`,
  );
  const { code, stderr } = await run('ip', ['-force', '-batch', '-'], commands.join(''));
  return code === 0 ? undefined : stderr.trim().split('\n')[0];
}

function fromIp(entry: IpNeighbour): Neighbour {
  const isFixed =
    entry.state.includes('PERMANENT') ||
    entry.state.includes('NOARP') ||
    entry.extern_learn !== undefined ||
    entry.managed !== undefined;
  const mac = ETHERNET_TEXT.test(entry.lladdr ?? '') ? parseMac(entry.lladdr!) : undefined;
  if (mac !== undefined && entry.state.some((state) => USABLE.has(state)))
    return { state: 'resolved', mac, isFixed };
  return { state: entry.state.includes('FAILED') ? 'failed' : 'asked', mac: undefined, isFixed };
}
