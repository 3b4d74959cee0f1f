/** The kernel's own GRE tunnels on a backend without an agent, as iproute2 lists them. */
import { requireTool } from '../core/tool.js';
import type { Facts } from './facts.js';

export interface Tunnel {
  readonly name: string;
  /** Of the outer addresses. */
  readonly family: 4 | 6;
  readonly isUp: boolean;
  /** Undefined: any address of this host. */
  readonly local: string | undefined;
  /** Undefined: takes packets from anybody. */
  readonly remote: string | undefined;
  /** Takes packets with this key only; undefined: without a key. */
  readonly key: string | undefined;
}

interface Shown {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
  };
}

const FAMILIES: Readonly<Record<string, 4 | 6>> = { gre: 4, ip6gre: 6 };

/** None where all backends of this host have agents. */
export async function plainTunnels({ host, place }: Facts): Promise<Tunnel[]> {
  if (place.targets.every(({ agent }) => agent)) return [];
  const shown: Shown[] = JSON.parse(await requireTool(host.run, 'ip', ['-json', '-details', 'link', 'show']));
  return shown.flatMap(({ ifname, flags, linkinfo }) => {
    const family = FAMILIES[linkinfo?.info_kind ?? ''];
    if (family === undefined) return [];
    const { local, remote, ikey } = linkinfo?.info_data ?? {};
    return [
      {
        name: ifname,
        family,
        isUp: flags.includes('UP'),
        local: addressOf(local),
        remote: addressOf(remote),
        key: typeof ikey === 'string' ? ikey : undefined,
      },
    ];
  });
}

/** iproute2 writes `any` for no address, and leaves both out of a device that takes everything (`external`). */
function addressOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== 'any' ? value : undefined;
}
