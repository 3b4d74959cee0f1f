/**
 * The paths to the backends: made from next hops, with the MTUs that routers on the path report. What they report is in force
 * with the next image.
 */
import type { BackendStatus } from '../api/status.js';
import type { BackendConfig, NodeConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { formatMac } from '../packet/mac.js';
import type { Path } from '../packet/path.js';
import { leastMtus, type Recipients } from '../pool/least-mtu.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import type { NextHopChange } from '../underlay/next-hop-log.js';
import { PathErrors } from '../underlay/path-errors.js';
import { PathMtus, type PathReportCounts } from '../underlay/path-mtus.js';

const EXPIRE_INTERVAL_MS = 5_000;

/**
 * The path that a next hop makes; undefined, which makes the backend count as down, without one.
 * @param nodeInterface index of the interface that the node's packets come in on: frames that leave by it go straight back
 */
export function pathOf(hop: NextHop | NoNextHop | undefined, nodeInterface: number): Path | undefined {
  if (hop === undefined || hop.reason !== undefined) return undefined;
  const { mtu, interfaceIndex, sourceMac, destinationMac, vlan } = hop;
  return {
    mtu,
    interfaceIndex: interfaceIndex === nodeInterface ? 0 : interfaceIndex,
    sourceMac,
    destinationMac,
    vlan,
  };
}

export interface PathsOptions {
  readonly recipients: Recipients;
  /** By an address's text. */
  readonly nextHop: (address: string) => NextHop | NoNextHop;
  readonly now: () => number;
  readonly log: Logger;
}

export class Paths {
  readonly #log: Logger;
  readonly #mtus: PathMtus;
  #recipients: Recipients;
  #changed = (): void => {};
  #errors: PathErrors | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ recipients, nextHop, now, log }: PathsOptions) {
    this.#recipients = recipients;
    this.#log = log;
    this.#mtus = new PathMtus({
      log,
      now,
      routeMtu: (address) => {
        const hop = nextHop(address);
        return hop.reason === undefined ? hop.mtu : undefined;
      },
      leastMtu: (address) => leastMtus(this.#recipients).get(address)?.all ?? 0,
      names: (address) =>
        this.#recipients.pools.flatMap((pool) =>
          pool.backends.flatMap((each) => (each.address.text === address ? `${pool.name}/${each.name}` : [])),
        ),
      changed: () => this.#changed(),
      meaning: 'clients are told what fits',
    });
  }

  /** Reports that taught nothing. */
  get counts(): Readonly<PathReportCounts> {
    return this.#mtus.counts;
  }

  /** As they are in force. */
  follow(recipients: Recipients): void {
    this.#recipients = recipients;
  }

  /** Listens from now on for reports about packets from this node. @param changed some path is narrower or wider than before */
  start({ source4, source6 }: Pick<NodeConfig, 'source4' | 'source6'>, changed: () => void): void {
    this.#changed = changed;
    const sources = [source4, source6].flatMap((source) => source ?? []);
    this.#errors = new PathErrors(sources, (reports, lost) => this.#mtus.take(reports, lost), this.#log);
    this.#timer = setInterval(() => this.#mtus.expire(), EXPIRE_INTERVAL_MS).unref();
  }

  close(): void {
    this.#errors?.close();
    clearInterval(this.#timer);
  }

  /** A backend's path with the MTU that routers report. */
  along({ address }: Pick<BackendConfig, 'address'>, path: Path | undefined): Path | undefined {
    return path && { ...path, mtu: this.#mtus.mtuOf(address.text, path.mtu) };
  }

  /** What `status` says of the path to an address. */
  status(address: string, hop: NextHop | NoNextHop): BackendStatus['nextHop'] {
    if (hop.reason !== undefined) return { missing: hop.reason };
    const { interface: out, destinationMac, vlan } = hop;
    const mtu = this.#mtus.mtuOf(address, hop.mtu);
    const learned = mtu < hop.mtu ? this.#mtus.learned(address) : undefined;
    const least = leastMtus(this.#recipients).get(address)?.ipv6 ?? 0;
    return {
      interface: out,
      mac: formatMac(destinationMac),
      mtu,
      ...(vlan !== undefined && { vlan }),
      ...(learned && {
        learned: {
          router: learned.router,
          until: new Date(learned.untilMs).toISOString(),
          routeMtu: hop.mtu,
        },
      }),
      ...(hop.mtu < least && { ipv6Needs: least }),
    };
  }

  /** Next hops are other ones: what was learned was about the paths before. */
  hopsChanged(changes: readonly NextHopChange[]): void {
    this.#mtus.forget(changes.map(({ address }) => address.text));
  }
}
