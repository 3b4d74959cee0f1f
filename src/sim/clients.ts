/**
 * The clients of a simulation and the router before the nodes: each flow has a hash, a service, an end, and a next hop. When one ends,
 * another begins in its place. The router hashes modulo the number of its next hops, which is the worst that it can do: when one comes or
 * goes, nearly every flow gets another one.
 */
import { flowHash, flowHashPair } from '../hash/flow.js';
import { deriveFlowKey, type FlowKey, flowKeyFor } from '../hash/key.js';
import { parseAddress } from '../packet/address.js';
import { NONE } from '../table/layers.js';
import { Random, secretOf } from './random.js';

export interface ClientsOptions {
  readonly seed: number;
  /** Open at any moment: one begins when another ends. */
  readonly flows: number;
  /** Longest life of a flow; lives are evenly spread. */
  readonly lifetimeMs: number;
  /** Each with tables of its own; 1 if absent. */
  readonly services?: number;
}

export class Clients {
  readonly #lifetimeMs: number;
  readonly #services: number;
  readonly #random: Random;
  readonly #key: FlowKey;
  readonly #routerKey: FlowKey;
  /** What the router's hash is of. */
  readonly #routed = new Int32Array(3);
  readonly #endsAtMs: Float64Array;
  /** By flow. */
  readonly hash: Int32Array;
  /** By flow: next hop times services, plus its service; NONE when there is no next hop. */
  readonly through: Uint16Array;
  #nextHops = 0;
  #salt = 0;
  /** Flows that have begun. */
  begun = 0;

  constructor({ seed, flows, lifetimeMs, services = 1 }: ClientsOptions) {
    this.#lifetimeMs = lifetimeMs;
    this.#services = services;
    this.#random = new Random(seed, 1);
    const secret = secretOf(seed);
    this.#routerKey = flowKeyFor(secret, 'router');
    this.#key = deriveFlowKey(secret, '5-tuple', 'tcp', parseAddress('203.0.113.10')!);
    this.hash = new Int32Array(flows);
    this.#endsAtMs = new Float64Array(flows);
    this.through = new Uint16Array(flows);
  }

  /** All begin, through so many next hops. */
  start(nextHops: number): void {
    this.#nextHops = nextHops;
    for (let flow = 0; flow < this.hash.length; flow++) this.#begin(flow, 0);
  }

  /** Chooses next hops again, after they have changed. @param salt of the router's hash */
  route(nextHops: number, salt = 0): void {
    this.#nextHops = nextHops;
    this.#salt = salt;
    for (let flow = 0; flow < this.through.length; flow++) this.through[flow] = this.#choose(flow);
  }

  /** Others take the place of those whose time is over. @param ended called for each */
  pass(nowMs: number, ended: (flow: number) => void): void {
    for (let flow = 0; flow < this.hash.length; flow++) {
      if (this.#endsAtMs[flow] > nowMs) continue;
      this.#begin(flow, nowMs);
      ended(flow);
    }
  }

  serviceOf(flow: number): number {
    if (this.#services === 1) return 0;
    return this.#hashOf(flow, -1, this.#services) % this.#services;
  }

  /** A new client with a new port, in the form of its packets' addresses and ports. */
  #begin(flow: number, nowMs: number): void {
    this.hash[flow] = flowHashPair(this.#key, 0, this.#random.bits(), this.#random.bits());
    this.#endsAtMs[flow] = nowMs + 1 + this.#random.below(this.#lifetimeMs);
    this.through[flow] = this.#choose(flow);
    this.begun++;
  }

  #choose(flow: number): number {
    const count = this.#nextHops;
    if (count === 0) return NONE;
    return (this.#hashOf(flow, this.#salt, count) % count) * this.#services + this.serviceOf(flow);
  }

  #hashOf(flow: number, salt: number, count: number): number {
    this.#routed[0] = this.hash[flow];
    this.#routed[1] = salt;
    this.#routed[2] = count;
    return flowHash(this.#routerKey, 0, this.#routed, 3) >>> 0;
  }
}
