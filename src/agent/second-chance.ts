/**
 * The paths to this backend's peers, as the agent's program needs them: resolved before the program is attached, and
 * followed for as long as the agent runs. An agent that is killed leaves the last ones behind.
 *
 * So are the path MTUs that routers report: what does not fit a peer's path ends here in a verdict of its own instead of being lost
 * on the way.
 */
import type { Config } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { BpfObject } from '../ffi/bpf.js';
import type { IpAddress } from '../packet/address.js';
import { leastMtus } from '../pool/least-mtu.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import { NextHops } from '../underlay/next-hops.js';
import { PathErrors } from '../underlay/path-errors.js';
import { PathMtus } from '../underlay/path-mtus.js';
import type { Environment } from './environment.js';
import { type PeerRows, sourceFor } from './peers.js';

const EXPIRE_INTERVAL_MS = 5_000;

export class SecondChance {
  readonly #hops: NextHops;
  readonly #errors: PathErrors;
  readonly #timer: NodeJS.Timeout;

  private constructor(hops: NextHops, mtus: PathMtus, errors: PathErrors) {
    this.#hops = hops;
    this.#errors = errors;
    this.#timer = setInterval(() => mtus.expire(), EXPIRE_INTERVAL_MS).unref();
  }

  /**
   * Fills the program's map `peers`, which was loaded with the same rows, and keeps it up to date. Resolves once each peer has a
   * next hop or for now none, after 3.5 s at most.
   * @throws AnyhopError ERR_TOOL when the kernel cannot be asked; ERR_BPF when the map takes no entry
   */
  static async start(
    program: BpfObject,
    rows: PeerRows,
    config: Pick<Config, 'pools' | 'services'>,
    environment: Pick<Environment, 'interface' | 'interfaceIndex' | 'locals'>,
    log: Logger,
  ): Promise<SecondChance> {
    const { locals } = environment;
    const others = rows.addresses;
    for (const { text, family } of others.filter((peer) => sourceFor(peer, locals) === undefined)) {
      const message = `second chance cannot reach ${text}: no backend of the config has an IPv${family} address of this host`;
      log.warn({ event: 'no_next_hop', backends: [text] }, message);
    }
    const hops = new NextHops({
      log,
      sources: {
        source4: locals.find(({ family }) => family === 4),
        source6: locals.find(({ family }) => family === 6),
      },
      refuse: (hop) => refusal(hop, environment),
      withoutHop: 'second chance does not reach',
    });
    const fill = (addresses: readonly IpAddress[]): void => {
      const current = hops.current();
      program.fill(
        'peers',
        addresses.flatMap((address) => rows.change(address, along(address.text, current.get(address.text)))),
      );
    };
    const mtus = new PathMtus({
      log,
      now: Date.now,
      routeMtu: (address) => {
        const hop = hops.current().get(address);
        return hop?.reason === undefined ? hop?.mtu : undefined;
      },
      leastMtu: (address) => leastMtus(config).get(address)?.all ?? 0,
      names: () => [],
      changed: (narrow) => fill(others.filter(({ text }) => narrow.includes(text))),
      meaning: 'what is larger is dropped here (drop_peer_too_big)',
    });
    const along = (address: string, hop: NextHop | NoNextHop | undefined) =>
      hop === undefined || hop.reason !== undefined ? hop : { ...hop, mtu: mtus.mtuOf(address, hop.mtu) };
    hops.onChange((changes) => {
      mtus.forget(changes.map(({ address }) => address.text));
      fill(changes.map(({ address }) => address));
    });
    try {
      const reachable = others.filter((peer) => sourceFor(peer, locals) !== undefined);
      await hops.resolve(reachable.map((address) => ({ name: 'peer', address })));
      fill(others);
    } catch (error) {
      await hops.close();
      throw error;
    }
    const sources = locals.map((address) => ({
      address,
      length: address.bytes.length * 8,
      text: address.text,
    }));
    const errors = new PathErrors(sources, (reports, lost) => mtus.take(reports, lost), log);
    return new SecondChance(hops, mtus, errors);
  }

  /** Follows the next hops no longer; the program keeps those that it has. */
  close(): Promise<void> {
    clearInterval(this.#timer);
    this.#errors.close();
    return this.#hops.close();
  }
}

/** The program sends back out of the interface that it runs on, and by no other one. */
function refusal(
  hop: NextHop,
  environment: Pick<Environment, 'interface' | 'interfaceIndex'>,
): string | undefined {
  if (hop.interfaceIndex === environment.interfaceIndex) return undefined;
  return `its next hop is on ${hop.interface}, and the agent sends on only over ${environment.interface}`;
}
