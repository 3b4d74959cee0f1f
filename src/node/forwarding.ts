/**
 * The image in force, and the one place that replaces it. When config, next hops or health marks change, a new image is built and
 * published whole. Changes that come while one is being published go together into the next. If an image cannot be published, the
 * last one stays in force, and the next change tries again.
 */
import type { NodeConfig } from '../config/types.js';
import { amount } from '../core/figures.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import type { Engine } from '../engine/contract.js';
import { imageCounterNames, imageDigest } from '../image/inspect.js';
import { Numbers } from '../image/numbers.js';
import type { Image } from '../image/read.js';
import { Histogram } from '../metrics/histogram.js';
import type { EligibilityMode } from '../table/eligible.js';
import { type AssembleOptions, type Assembly, assemble, type Served } from './assemble.js';

/** What a pool's mode means to whoever reads the log; `normal` needs no words. */
const MODES: Record<EligibilityMode, string> = {
  normal: '',
  panic: 'too few backends are up: health marks are ignored',
  draining: 'no active backend is up: the draining ones serve',
  all_down: 'no backend is up: all active ones are tried',
  none: 'no backend can serve: its packets are dropped',
};

export type ForwardingOptions = Pick<AssembleOptions, 'path' | 'takesCookies'> & {
  /** Services and pool states as they are now. */
  readonly served: () => Served & { readonly node: NodeConfig };
  /** The host's addresses on the interface now, its own first. With none, frames for every address are taken. */
  readonly macs: () => readonly Uint8Array[];
  /** Called when something else is in force. */
  readonly changed?: () => void;
};

export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #log: Logger;
  #assembly: Assembly;
  #engine: Engine | undefined;
  readonly #publishes = new Rerun(() => this.#publish());
  /** From the first table of an image to its being in force; in seconds. */
  readonly publishTimes = new Histogram();
  #failure: unknown;

  /**
   * Builds the first image.
   * @param predecessor the image in force: the first one has the next generation, and the same numbers of counters
   */
  constructor(options: ForwardingOptions, predecessor: Image | undefined, log: Logger) {
    this.#options = options;
    this.#log = log;
    const names = predecessor && imageCounterNames(predecessor);
    const served = options.served();
    this.#assembly = assemble(served, served.node, {
      ...options,
      ...macsOf(options),
      generation: (predecessor?.generation ?? 0) + 1,
      numbers: { services: new Numbers(names?.services), backends: new Numbers(names?.backends) },
    });
    this.#describe(this.#assembly);
  }

  /** What is in force, or will be once the engine has started. */
  get assembly(): Assembly {
    return this.#assembly;
  }

  get image(): Image {
    return this.#assembly.image;
  }

  /** Why the newest image could not be published; undefined when it is in force. */
  get failure(): string | undefined {
    if (this.#failure === undefined) return undefined;
    return this.#failure instanceof Error ? this.#failure.message : String(this.#failure);
  }

  /** From now on changes are published there. */
  drive(engine: Engine): void {
    this.#engine = engine;
  }

  /**
   * Something has changed that images are made of. Resolves to undefined when what was true at the call is in force, or to why it
   * is not.
   */
  refresh(): Promise<unknown> {
    return this.#publishes.ask();
  }

  /** @returns undefined when what is true now is in force, or why it is not */
  async #publish(): Promise<unknown> {
    if (this.#engine === undefined) return undefined;
    const before = this.#assembly;
    const startMs = performance.now();
    try {
      const served = this.#options.served();
      const next = assemble(served, served.node, {
        ...this.#options,
        ...macsOf(this.#options),
        generation: before.image.generation + 1,
        numbers: before.numbers,
        previous: before,
      });
      if (imageDigest(next.image) === imageDigest(before.image)) {
        this.#assembly = { ...next, image: before.image };
      } else {
        await this.#engine.publish(next.image);
        this.#assembly = next;
        const tookMs = performance.now() - startMs;
        this.publishTimes.record(tookMs / 1000);
        const ms = Number(tookMs.toFixed(1));
        const { generation } = next.image;
        this.#log.info({ event: 'published', generation, ms }, `generation ${generation} is in force`);
      }
      this.#options.changed?.();
      this.#describe(next, before);
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
      this.#log.error(
        { event: 'publish_failed', generation: before.image.generation, error },
        `a new image could not be published: ${reasonOf(error)}; generation ${before.image.generation} stays in force`,
      );
    }
    return this.#failure;
  }

  /** Logs the pools whose owners have changed, or all. */
  #describe(assembly: Assembly, before?: Assembly): void {
    const known = new Map(before?.pools.map(({ name, tables }) => [name, tables.ownersDigest]));
    for (const { name: pool, state, tables } of assembly.pools) {
      if (known.get(pool) === tables.ownersDigest) continue;
      const fields = {
        event: 'pool',
        pool,
        backends: state.length,
        layers: tables.layers,
        mode: tables.mode,
        owners: tables.ownersDigest,
        alternates: tables.alternatesDigest,
      } as const;
      const text = `pool ${pool}: ${amount(state.length, 'backend')}`;
      if (tables.mode === 'normal') this.#log.info(fields, text);
      else this.#log.warn(fields, `${text}; ${MODES[tables.mode]}`);
    }
  }
}

function macsOf({ macs }: ForwardingOptions): Pick<AssembleOptions, 'mac' | 'otherMacs'> {
  const [mac, ...otherMacs] = macs();
  return { mac, otherMacs };
}
