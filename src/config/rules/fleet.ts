/**
 * Warnings about valid fields with which a fleet drops packets: agents that do not accept GRE from this node, a source address
 * that this host does not have, a node among its own backends. They are only warnings, because other machines may read this file,
 * and missing settings may follow.
 */
import { type IpPrefix, parseAddress, prefixContains } from '../../packet/address.js';
import type { Draft, DraftBackend, DraftSource } from '../draft.js';
import { formatPath } from '../path.js';
import type { Report } from '../problems.js';
import type { Role } from '../types.js';

/** Addresses of each interface that is up, from Node's `networkInterfaces`. */
export type HostInterfaces = Readonly<
  Record<string, readonly { readonly address: string; readonly cidr?: string | null }[] | undefined>
>;

/** @param host interfaces of the node's machine; undefined to skip what depends on them */
export function warnAboutFleet(
  draft: Draft,
  role: Role,
  host: HostInterfaces | undefined,
  warn: Report,
): void {
  if (role === 'pools' || role === 'l7') return;
  warnAboutForwarders(draft, warn);
  if (role === 'agent') return;
  warnAboutAgents(draft, warn);
  const local = localTexts(draft, role, host);
  warnAboutSources(draft, local, warn);
  warnAboutSelf(draft, local, warn);
}

function warnAboutForwarders({ node, agent }: Draft, warn: Report): void {
  if (agent === undefined || agent.forwarders.length === 0) return;
  for (const { at, value: prefix } of node?.sources ?? []) {
    if (agent.forwarders.some(({ value }) => covers(value, prefix))) continue;
    const known = agent.forwarders.map(({ value }) => value.text).slice(0, 3);
    const more = agent.forwarders.length > known.length ? ', ...' : '';
    warn(
      at,
      `${shown(prefix)} is outside agent.forwarders (${known.join(', ')}${more}): agents that read this file drop all packets from it; add it there`,
    );
  }
}

function warnAboutAgents({ written, pools }: Draft, warn: Report): void {
  if (written.has('agent')) return;
  const backends = pools.flatMap((pool) => pool.backends.filter(({ agent }) => agent));
  if (backends.length === 0) return;
  const [first, ...others] = backends;
  const which = `${formatPath(first.at)}${others.length === 0 ? '' : ` and ${others.length} more`}`;
  warn(
    ['agent'],
    `missing, and backends have an agent (${which}): "anyhop agent" does not start with this file; ` +
      'add agent: {forwarders: [the sources of all nodes]}, or agent: false to each backend with a plain tunnel',
  );
}

function warnAboutSources({ node }: Draft, local: ReadonlySet<string> | undefined, warn: Report): void {
  if (local === undefined) return;
  for (const { at, value: prefix } of node?.sources ?? []) {
    if (!isSingle(prefix) || local.has(prefix.address.text)) continue;
    warn(
      at,
      `${shown(prefix)} is not an address of this host: ICMP errors about packets from it (such as the path MTU) go elsewhere; ` +
        'expected an address that this host has, or a prefix that is routed to it',
    );
  }
}

function warnAboutSelf({ node, pools }: Draft, local: ReadonlySet<string> | undefined, warn: Report): void {
  for (const pool of pools) {
    for (const backend of pool.backends) {
      const who = selfOf(backend, node?.sources ?? [], local);
      if (who === undefined) continue;
      warn(
        [...backend.at, 'address'],
        `${backend.address!.text} ${who}: a forwarder cannot be its own backend; packets that it sends to itself are lost`,
      );
    }
  }
}

function selfOf(
  { address }: DraftBackend,
  sources: readonly DraftSource[],
  local: ReadonlySet<string> | undefined,
): string | undefined {
  if (address === undefined) return undefined;
  const source = sources.find(({ value }) => prefixContains(value, address))?.value;
  if (source !== undefined) return isSingle(source) ? 'is node.source' : `lies in node.source ${source.text}`;
  return local?.has(address.text) ? 'is an address of this host' : undefined;
}

/** The host; undefined when the file may be for another machine, because this one lacks the interface. */
export function hostOfNode(
  { node }: Draft,
  role: Role,
  host: HostInterfaces | undefined,
): HostInterfaces | undefined {
  if (host === undefined || node === undefined) return undefined;
  const isHere = role === 'run' || (node.interface !== undefined && Object.hasOwn(host, node.interface));
  return isHere ? host : undefined;
}

function localTexts(
  draft: Draft,
  role: Role,
  host: HostInterfaces | undefined,
): ReadonlySet<string> | undefined {
  const here = hostOfNode(draft, role, host);
  if (here === undefined) return undefined;
  const texts = Object.values(here).flatMap((addresses = []) => addresses.map(({ address }) => address));
  return new Set(texts.flatMap((text) => parseAddress(text)?.text ?? []));
}

function covers(outer: IpPrefix, inner: IpPrefix): boolean {
  return outer.length <= inner.length && prefixContains(outer, inner.address);
}

function isSingle({ address, length }: IpPrefix): boolean {
  return length === address.bytes.length * 8;
}

function shown(prefix: IpPrefix): string {
  return isSingle(prefix) ? prefix.address.text : prefix.text;
}
