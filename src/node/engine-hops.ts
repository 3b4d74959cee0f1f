/**
 * The next hops of the backends for the engine that is tried or runs. Engines reach different next hops, so each engine that is
 * tried follows them afresh; before the first, no backend has a next hop.
 */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Engine } from '../engine/contract.js';
import type { NamedBackend } from '../pool/membership.js';
import type { Link } from '../underlay/link.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import { NextHops } from '../underlay/next-hops.js';
import type { RouteSources } from '../underlay/route.js';

const UNRESOLVED: NoNextHop = { reason: 'its next hop is being resolved' };

export class EngineHops {
  readonly #link: Link;
  readonly #sources: RouteSources;
  readonly #log: Logger;
  #hops: NextHops | undefined;
  /** Why the engine cannot send to one of the next hops; undefined when it can send to all. */
  #refusal: string | undefined;

  /** @param link the node's interface */
  constructor(link: Link, sources: RouteSources, log: Logger) {
    this.#link = link;
    this.#sources = sources;
    this.#log = log;
  }

  /** From now on next hops are those that this engine reaches; `resolve` comes next. */
  async use(engine: Engine): Promise<void> {
    await this.#hops?.close();
    this.#refusal = undefined;
    this.#hops = new NextHops({
      log: this.#log,
      sources: this.#sources,
      asFrames: engine.sends !== 'packet',
      refuse: (hop) => {
        const refusal = engine.unreachable(hop, this.#link);
        this.#refusal ??= refusal;
        return refusal;
      },
    });
  }

  /** Resolves once each of these backends has a next hop, or definitely none; follows them from now on, and no others. */
  async resolve(backends: readonly NamedBackend[]): Promise<void> {
    const targets = backends.map(({ pool, backend: { name, address } }) => ({
      name: `${pool.name}/${name}`,
      address,
    }));
    await this.#hops?.resolve(targets);
  }

  /** @param address canonical text */
  of(address: string): NextHop | NoNextHop {
    return this.#hops?.current().get(address) ?? UNRESOLVED;
  }

  /**
   * An engine that works but reaches none of the backends that have a next hop is no engine for this node.
   * @throws AnyhopError ERR_ROUTE
   */
  requireReach(): void {
    const hops = [...(this.#hops?.current().values() ?? [])];
    if (this.#refusal === undefined || hops.some(({ reason }) => reason === undefined)) return;
    throw new AnyhopError('ERR_ROUTE', `it reaches no backend: ${this.#refusal}`);
  }

  /** Calls the listener after each change, until another engine is used. */
  onChange(listener: Parameters<NextHops['onChange']>[0]): void {
    this.#hops?.onChange(listener);
  }

  /** Calls the listener with all interfaces now and whenever they have been read, until another engine is used. */
  onLinks(listener: Parameters<NextHops['onLinks']>[0]): void {
    this.#hops?.onLinks(listener);
  }

  async close(): Promise<void> {
    await this.#hops?.close();
  }
}
