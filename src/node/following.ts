/**
 * What this node tells those who follow it (api/follow.ts), from what is in force. The line is made when somebody asks for it and
 * something may have changed: at rest it costs nothing, however many services there are.
 */

import type { FollowedHop, FollowedPool, FollowedVip, FollowLine } from '../api/follow.js';
import { type Feed, unnumbered } from '../api/followers.js';
import type { ServiceReadiness } from '../api/status.js';
import type { ServiceConfig } from '../config/types.js';
import { VERSION } from '../core/version.js';
import type { Engine } from '../engine/contract.js';
import { formatMac } from '../packet/mac.js';
import { slotsOf } from '../table/slots.js';
import type { Link } from '../underlay/link.js';
import type { AssembledPool, Assembly } from './assemble.js';
import { countBackends, type NodeReadiness } from './readiness.js';

export interface FollowingOptions {
  readonly node: string;
  readonly startedAt: Date;
  /** The interface that takes the packets, as it was found. */
  readonly link: Pick<Link, 'name' | 'index'>;
  /** Of the config, for as long as nothing is in force. */
  readonly services: readonly ServiceConfig[];
  readonly readiness: Pick<NodeReadiness, 'nodeReasons' | 'current'>;
  /** Undefined until the node forwards. */
  readonly forwarded: () => { readonly engine: Engine; readonly assembly: Assembly } | undefined;
}

type Stop = NonNullable<FollowLine['stop']>;

export class Following implements Feed {
  readonly #options: FollowingOptions;
  readonly #listeners = new Set<() => void>();
  /** Interfaces by index. */
  #names: ReadonlyMap<number, string>;
  #phase: FollowLine['phase'] = 'starting';
  #stop: Stop | undefined;
  #line: Uint8Array = new Uint8Array();
  #isDue = true;

  constructor(options: FollowingOptions) {
    this.#options = options;
    this.#names = new Map([[options.link.index, options.link.name]]);
  }

  current(): Uint8Array {
    if (!this.#isDue) return this.#line;
    this.#isDue = false;
    const line = unnumbered(this.#say());
    if (Buffer.compare(line, this.#line) !== 0) this.#line = line;
    return this.#line;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Something that the line is made of may have changed. */
  changed(): void {
    this.#isDue = true;
    for (const listener of this.#listeners) listener();
  }

  /** The interfaces as they are now, by name. */
  sawLinks(links: ReadonlyMap<string, Link>): void {
    this.#names = new Map([...links.values()].map(({ index, name }) => [index, name]));
    this.changed();
  }

  /** The node has started. */
  serves(): void {
    this.#phase = 'serving';
    this.changed();
  }

  /**
   * @param delayMs for which it forwards on
   * @param mayForwardOn whether an engine that can is to go on without the process
   */
  stops(why: string, delayMs: number, mayForwardOn: boolean): void {
    const until = new Date(Date.now() + delayMs).toISOString();
    const program = this.#options.forwarded()?.engine.program;
    this.#phase = 'stopping';
    this.#stop = { why, until, forwardsOn: mayForwardOn && program !== undefined };
    this.changed();
  }

  /** The engine has ended, or forwards on without this process. */
  left(forwardsOn: boolean): void {
    const { why, until } = this.#stop ?? { why: 'it failed', until: new Date().toISOString() };
    this.#phase = 'left';
    this.#stop = { why, until, forwardsOn };
    this.changed();
  }

  #say(): Omit<FollowLine, 'line'> {
    const { node, startedAt, link, services: ofConfig, readiness, forwarded } = this.#options;
    const { engine, assembly } = forwarded() ?? {};
    return {
      node,
      version: VERSION,
      pid: process.pid,
      startedAt: startedAt.toISOString(),
      phase: this.#phase,
      reasons: readiness.nodeReasons(),
      ...(this.#stop && { stop: this.#stop }),
      ...(engine && {
        engine: {
          name: engine.name,
          interface: this.#interface(link.index),
          ...(engine.program !== undefined && { program: engine.program }),
        },
      }),
      vips: byVip(assembly?.services ?? ofConfig, readiness.current().services),
      pools: assembly === undefined ? {} : this.#pools(assembly),
    };
  }

  #pools({ services, pools, paths }: Assembly): Record<string, FollowedPool> {
    const used = new Set(services.map(({ pool }) => pool));
    return Object.fromEntries(
      pools
        .filter(({ name }) => used.has(name))
        .map((pool) => {
          const { up, total } = countBackends(pool);
          return [pool.name, { up, total, hops: this.#hops(pool, paths) }];
        }),
    );
  }

  #hops({ tables }: AssembledPool, paths: Assembly['paths']): FollowedHop[] {
    const slots = slotsOf(tables);
    return tables.members.flatMap((member, index): FollowedHop[] => {
      const path = paths.get(member);
      if (path === undefined || slots[index] === 0) return [];
      const { interfaceIndex, destinationMac, vlan } = path;
      return [
        {
          address: member.address.text,
          // Frames that leave by the interface that they came in by have none.
          interface: this.#interface(interfaceIndex === 0 ? this.#options.link.index : interfaceIndex),
          mac: formatMac(destinationMac),
          ...(vlan !== undefined && { vlan }),
        },
      ];
    });
  }

  #interface(index: number): { readonly name: string; readonly index: number } {
    return { name: this.#names.get(index) ?? `${index}`, index };
  }
}

/** In the order of the file. */
function byVip(services: readonly ServiceConfig[], readiness: readonly ServiceReadiness[]): FollowedVip[] {
  const known = new Map(readiness.map((one) => [one.name, one]));
  const vips = new Map<string, FollowedVip['services'][number][]>();
  for (const { name, pool, vip } of services) {
    const { ready = false, reason } = known.get(name) ?? {};
    const service = { name, pool, ready, ...(reason !== undefined && { reason }) };
    const others = vips.get(vip.text);
    if (others === undefined) vips.set(vip.text, [service]);
    else others.push(service);
  }
  return [...vips].map(([vip, ofVip]) => ({ vip, services: ofVip }));
}
