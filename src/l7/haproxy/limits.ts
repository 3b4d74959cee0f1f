/**
 * What `haproxy -c` does not look at, and the start then fails on: descriptors, addresses that are not on this host, and ports that
 * another program has. Found here, they have a field; and a reload onto a taken port would keep HAProxy from accepting
 * connections for half a second before it fails.
 */
import type { FieldPath } from '../../config/path.js';
import type { IpAddress } from '../../packet/address.js';
import type { HaproxyProblem } from './problems.js';

export interface Bind {
  readonly address: IpAddress;
  readonly port: number;
  readonly at: FieldPath;
}

/** What a config needs of its host. */
export interface Needs {
  readonly binds: readonly Bind[];
  /** `maxconn`: connections from clients at a time. */
  readonly connections: { readonly value: number; readonly at: FieldPath };
  /** Servers with a health check, counted in each backend. */
  readonly checkedServers: number;
}

export interface Listener {
  /** Canonical text. */
  readonly address: string;
  readonly port: number;
  /** `nginx (process 812)`; undefined when it cannot be known. */
  readonly owner: string | undefined;
  /** On all IPv6 addresses, and on all IPv4 addresses too. */
  readonly takesIpv4: boolean;
}

/** What the host has; read by host-facts.ts. */
export interface HostFacts {
  /** The hard limit of open files, which HAProxy inherits; Infinity without one. */
  readonly descriptorsMax: number;
  /** HAProxy starts as many threads. */
  readonly cpus: number;
  /** Canonical texts of those addresses of the config that are this host's, or that may be bound without being so. */
  readonly bindable: ReadonlySet<string>;
  /** TCP sockets that listen, without those of HAProxy itself. */
  readonly listeners: readonly Listener[];
}

/** A connection of a client and one to a server. */
const PER_CONNECTION = 2;
/** epoll, and a pipe to wake it. */
const PER_THREAD = 3;
/** 32 for itself and its master CLI and 4 for local peers in 2.6; some more for other versions. */
const BASE = 64;

/** Descriptors that HAProxy asks for; a few more than 2.6 does. */
export function descriptorsNeeded({ binds, connections, checkedServers }: Needs, cpus: number): number {
  return connections.value * PER_CONNECTION + beside({ binds, checkedServers }, cpus);
}

/** The largest `maxconn` for so many descriptors; 0 when there are not even enough for one connection. */
export function connectionsFor(
  descriptors: number,
  needs: Pick<Needs, 'binds' | 'checkedServers'>,
  cpus: number,
): number {
  return Math.max(0, Math.floor((descriptors - beside(needs, cpus)) / PER_CONNECTION));
}

function beside({ binds, checkedServers }: Pick<Needs, 'binds' | 'checkedServers'>, cpus: number): number {
  return binds.length + checkedServers + cpus * PER_THREAD + BASE;
}

/**
 * Errors, each with its field.
 * @param inForce binds of the config that HAProxy runs with; their ports are its own
 */
export function problemsOnHost(
  needs: Needs,
  facts: HostFacts,
  inForce: readonly Bind[] = [],
): HaproxyProblem[] {
  const own = new Set(inForce.map(key));
  return [
    ...descriptorProblems(needs, facts),
    ...needs.binds.flatMap((bind) => bindProblem(bind, facts, own) ?? []),
  ];
}

function descriptorProblems(needs: Needs, { descriptorsMax, cpus }: HostFacts): HaproxyProblem[] {
  const { value, at } = needs.connections;
  const needed = descriptorsNeeded(needs, cpus);
  if (needed <= descriptorsMax) return [];
  const message =
    `${value} connections take ${needed} open files, and this process may have ${descriptorsMax}: ` +
    `at most ${connectionsFor(descriptorsMax, needs, cpus)} connections, or a higher limit (LimitNOFILE= in the unit)`;
  return [{ level: 'error', at, message }];
}

function bindProblem(bind: Bind, facts: HostFacts, own: ReadonlySet<string>): HaproxyProblem | undefined {
  const { address, port, at } = bind;
  if (!isWildcard(address.text) && !facts.bindable.has(address.text)) {
    const length = address.family === 4 ? 32 : 128;
    const message = `${address.text} is no address of this host: ip address add ${address.text}/${length} dev lo`;
    return { level: 'error', at, message };
  }
  if (own.has(key(bind))) return undefined;
  const taken = facts.listeners.find((each) => each.port === port && meet(each, address.text));
  if (taken === undefined) return undefined;
  const owner = taken.owner ?? 'another program';
  return { level: 'error', at, message: `port ${port} of ${address.text} is taken by ${owner}` };
}

function key({ address, port }: Bind): string {
  return `${address.text} ${port}`;
}

function meet({ address, takesIpv4 }: Listener, wanted: string): boolean {
  if (address.includes(':') !== wanted.includes(':')) return takesIpv4;
  return address === wanted || isWildcard(address) || isWildcard(wanted);
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
