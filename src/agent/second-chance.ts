/**
 * The ways to this backend's peers, as the agent's program needs them: resolved before the program is attached, and
 * followed for as long as the agent runs. An agent that is killed leaves the last ones behind.
 */
import type { Logger } from '../core/log.js';
import type { BpfObject } from '../ffi/bpf.js';
import type { IpAddress } from '../packet/address.js';
import type { NextHop } from '../underlay/next-hop.js';
import { NextHops } from '../underlay/next-hops.js';
import type { Environment } from './environment.js';
import { PeerRows, sourceFor } from './peers.js';

export class SecondChance {
  readonly #hops: NextHops;

  private constructor(hops: NextHops) {
    this.#hops = hops;
  }

  /**
   * Fills the program's map `peers`, which was loaded with the same list, and keeps it up to date. Resolves once each peer has a
   * next hop or for now none, after 3.5 s at most.
   * @throws AnyhopError ERR_TOOL when the kernel cannot be asked; ERR_BPF when the map takes no entry
   */
  static async start(
    program: BpfObject,
    peers: readonly IpAddress[],
    environment: Pick<Environment, 'interface' | 'interfaceIndex' | 'locals'>,
    log: Logger,
  ): Promise<SecondChance> {
    const { locals } = environment;
    const own = new Set(locals.map(({ text }) => text));
    const others = peers.filter(({ text }) => !own.has(text));
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
    const rows = new PeerRows(peers, locals);
    const fill = (addresses: readonly IpAddress[]): void => {
      const current = hops.current();
      program.fill(
        'peers',
        addresses.flatMap((address) => rows.change(address, current.get(address.text))),
      );
    };
    hops.onChange((changes) => fill(changes.map(({ address }) => address)));
    try {
      const reachable = others.filter((peer) => sourceFor(peer, locals) !== undefined);
      await hops.resolve(reachable.map((address) => ({ name: 'peer', address })));
      fill(peers);
    } catch (error) {
      await hops.close();
      throw error;
    }
    return new SecondChance(hops);
  }

  /** Follows the next hops no longer; the program keeps those that it has. */
  close(): Promise<void> {
    return this.#hops.close();
  }
}

/** The program sends back out of the interface that it runs on, and by no other one. */
function refusal(
  hop: NextHop,
  environment: Pick<Environment, 'interface' | 'interfaceIndex'>,
): string | undefined {
  if (hop.interfaceIndex === environment.interfaceIndex) return undefined;
  return `its way is over ${hop.interface}, and the agent sends on over ${environment.interface} alone`;
}
