/** The control side of a simulation: the config file, the nodes that read it, the router, and events. */
import { createHash } from 'node:crypto';
import type { FleetConfig } from '../config/fleet/types.js';
import type { BackendConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { DRAIN_DEADLINE_MS_DEFAULT, TABLE_SIZE_DEFAULT } from '../core/limits.js';
import { addressFromBytes, type IpAddress } from '../packet/address.js';
import { backendName, type Edit, eventText, type SimEvent } from './event.js';
import { SimNode } from './node.js';
import type { HasConnections } from './transitions.js';
import { SimViews } from './views.js';

export interface FleetOptions {
  readonly backends: number;
  readonly nodes: number;
  /** M, prime; the config's default if absent. */
  readonly slots?: number;
  readonly settleMs: number;
  /** Whose views of the backends nodes go by; `own` if absent. */
  readonly views?: FleetConfig['views'];
}

export class Fleet {
  readonly nodes: readonly SimNode[];
  readonly crashed = new Set<string>();
  /** The router's hash salt. */
  salt = 0;
  /** Undefined where each node goes by its own view. */
  readonly #views: SimViews | undefined;
  #file: PoolConfig;
  readonly #named = new Set<string>();
  /** Backends that were marked down on all nodes. */
  readonly #down = new Set<string>();

  constructor(
    { backends, nodes, slots = TABLE_SIZE_DEFAULT, settleMs, views }: FleetOptions,
    hasConnections: HasConnections,
  ) {
    const members = Array.from({ length: backends }, (_, i) => this.#memberOf(backendName(i), 1));
    this.#file = { ...POOL, tableSize: slots, settleMs, deadAfterMs: settleMs, backends: members };
    this.#views = views === 'quorum' ? new SimViews(nodes) : undefined;
    this.nodes = Array.from({ length: nodes }, () => new SimNode(this.#file, hasConnections, 0));
  }

  get live(): readonly SimNode[] {
    return this.nodes.filter((node) => node.isUp);
  }

  /** Returns true when a state in force has changed. */
  advance(nowMs: number): boolean {
    return this.live.map((node) => node.advance(nowMs)).includes(true);
  }

  refusal(event: SimEvent): string | undefined {
    if ('node' in event && event.node !== undefined && event.node >= this.nodes.length) {
      return `there are ${this.nodes.length} nodes`;
    }
    switch (event.kind) {
      case 'down':
      case 'up':
        return this.#named.has(event.backend) ? undefined : 'there is no such backend';
      case 'crash':
        if (!this.#named.has(event.backend)) return 'there is no such backend';
        return this.crashed.has(event.backend) ? 'it has crashed already' : undefined;
      case 'recover':
        return this.crashed.has(event.backend) ? undefined : 'it has not crashed';
      case 'lose':
      case 'restart':
        return this.nodes[event.node].isUp ? undefined : 'it is lost already';
      case 'return':
        return this.nodes[event.node].isUp ? 'it was not lost' : undefined;
      case 'cut':
      case 'rejoin':
        if (this.#views === undefined) return 'each node goes by its own view (--views quorum)';
        if (this.#views.cut.has(event.node) === (event.kind === 'rejoin')) return undefined;
        return event.kind === 'cut' ? 'it is cut off already' : 'it was not cut off';
      case 'add':
        return this.#has(event.backend) ? 'the config has it already' : undefined;
      case 'remove':
        if (this.#file.backends.length === 1) return 'a pool keeps one backend';
        return this.#has(event.backend) ? undefined : 'the config does not have it';
      case 'drain':
      case 'undrain':
      case 'weight':
        return this.#has(event.backend) ? undefined : 'the config does not have it';
      default:
        return undefined;
    }
  }

  /**
   * Performs `event`, which does not wait; returns true when a state in force has changed.
   * @throws AnyhopError ERR_USAGE for an event that cannot happen now
   */
  apply(event: SimEvent, nowMs: number): boolean {
    const refusal = this.refusal(event);
    if (refusal !== undefined) {
      throw new AnyhopError('ERR_USAGE', `--events: "${eventText(event)}" cannot happen: ${refusal}`, {
        hint: 'Events happen in the given order.',
      });
    }
    switch (event.kind) {
      case 'down':
      case 'up':
        return this.#mark(event.backend, event.kind, event.node, nowMs);
      case 'crash':
        this.crashed.add(event.backend);
        return false;
      case 'recover':
        this.crashed.delete(event.backend);
        return false;
      case 'lose':
        this.nodes[event.node].leave(nowMs);
        return this.#agree(nowMs);
      case 'return': {
        const isOther = this.nodes[event.node].comeBack(
          this.#file,
          this.#agreedDown(event.node) ?? this.#down,
          nowMs,
        );
        return this.#agree(nowMs) || isOther;
      }
      case 'cut':
        this.#views!.cut.add(event.node);
        return this.#agree(nowMs);
      case 'rejoin':
        this.#views!.cut.delete(event.node);
        return this.#agree(nowMs);
      case 'restart':
        return this.nodes[event.node].restart(this.#file, nowMs);
      case 'rehash':
        this.salt++;
        return false;
      case 'wait':
      case 'settle':
        return false;
      default:
        this.#file = { ...this.#file, backends: this.#edited(event) };
        return this.live.map((node) => node.edit(this.#file, event.force === true, nowMs)).includes(true);
    }
  }

  #mark(backend: string, health: 'up' | 'down', on: number | undefined, nowMs: number): boolean {
    if (this.#views !== undefined) {
      this.#views.see(backend, health, on);
      return this.#agree(nowMs);
    }
    if (on !== undefined) return this.nodes[on].isUp && this.nodes[on].mark(backend, health, nowMs);
    if (health === 'down') this.#down.add(backend);
    else this.#down.delete(backend);
    return this.live.map((node) => node.mark(backend, health, nowMs)).includes(true);
  }

  /** Every node goes by what it knows of the others' views. */
  #agree(nowMs: number): boolean {
    return this.nodes
      .map((node, i) => {
        const down = node.isUp && this.#agreedDown(i);
        return down ? node.markAll(down, nowMs) : false;
      })
      .includes(true);
  }

  #agreedDown(node: number): ReadonlySet<string> | undefined {
    return this.#views?.agreedDown(node, this.#named, (each) => this.nodes[each].isUp);
  }

  #has(backend: string): boolean {
    return this.#file.backends.some(({ name }) => name === backend);
  }

  #edited(event: Edit): readonly BackendConfig[] {
    const { backends } = this.#file;
    if (event.kind === 'add') return [...backends, this.#memberOf(event.backend, event.weight)];
    if (event.kind === 'remove') return backends.filter(({ name }) => name !== event.backend);
    return backends.map((member): BackendConfig => {
      if (member.name !== event.backend) return member;
      if (event.kind === 'weight') return { ...member, weight: event.weight };
      return { ...member, state: event.kind === 'drain' ? 'draining' : 'active' };
    });
  }

  /** A name keeps its id, as it keeps its address. */
  #memberOf(name: string, weight: number): BackendConfig {
    this.#named.add(name);
    return { ...memberOf(name, 1 + [...this.#named].indexOf(name)), weight };
  }
}

/** Without checks. By default, a backend is dead after a settle time. */
export const POOL = {
  name: 'web',
  panicThreshold: 0,
  health: [],
  drainDeadlineMs: DRAIN_DEADLINE_MS_DEFAULT,
  prior: undefined,
} satisfies Partial<PoolConfig>;

export function memberOf(name: string, id: number): BackendConfig {
  return { name, address: addressOf(name), weight: 1, state: 'active', agent: true, id };
}

/** No packet is sent: an address is one of documentation (RFC 3849) that no other name has. */
function addressOf(name: string): IpAddress {
  const digest = createHash('sha256').update(name).digest();
  return addressFromBytes(Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, ...digest.subarray(0, 12)));
}
