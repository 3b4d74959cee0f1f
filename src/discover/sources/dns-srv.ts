/**
 * SRV records of a DNS name (RFC 2782): each target with its addresses is a backend or a server. Of several priorities only the best counts,
 * since the others are for when its servers are gone. Ports are for servers; those of backends are those of the services here.
 *
 * The answer is whole or none: a target that does not resolve would look like one that has gone.
 */
import type { SrvRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { GROUP_KINDS } from '../../config/discover/kinds.js';
import { type Endpoint, formatEndpoint } from '../../config/endpoint.js';
import { BACKENDS_PER_POOL_MAX } from '../../core/limits.js';
import { printable } from '../../core/printable.js';
import { parseAddress } from '../../packet/address.js';
import type { Answer, Found, Source } from '../answer.js';
import { memberName } from '../names.js';
import { portOf, type Reading, weightWithin } from '../reading.js';

/** How often it asks, by the shortest time to live of the addresses. */
const [AGAIN_MIN_MS, AGAIN_MAX_MS] = [2_000, 30_000];
const [TIMEOUT_MS, TRIES] = [2_000, 2];
/** Questions at a time. */
const PARALLEL = 32;
const NONE = ['ENODATA', 'ENOTFOUND'];

interface Located {
  readonly addresses: readonly string[];
  /** In seconds. */
  readonly ttl: number;
}

export function dnsSrvSource(name: string, server: Endpoint | undefined, reading: Reading): Source {
  const words = `SRV ${name}${server === undefined ? '' : ` from ${formatEndpoint(server)}`}`;
  return {
    words,
    ask: async (signal) => {
      const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
      if (server !== undefined) resolver.setServers([formatEndpoint(server)]);
      const cancel = (): void => resolver.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      try {
        return await asked(resolver, name, reading);
      } finally {
        signal.removeEventListener('abort', cancel);
      }
    },
  };
}

async function asked(resolver: Resolver, name: string, reading: Reading): Promise<Answer> {
  const records = await resolver.resolveSrv(name).catch((error: unknown) => {
    throw new Error(`${name}: ${why(error, 'has no SRV records')}`);
  });
  if (records.length > BACKENDS_PER_POOL_MAX)
    throw new Error(
      `${name}: it has ${records.length} SRV records; ${BACKENDS_PER_POOL_MAX} are read at most`,
    );
  const best = Math.min(...records.map(({ priority }) => priority));
  const chosen = records.filter(({ priority }) => priority === best);
  const hosts = [...new Set(chosen.map((record) => hostOf(record.name)))];
  const located = new Map(
    await inParts(hosts, async (host) => [host, await locate(resolver, host)] as const),
  );
  const found = foundIn(chosen, located, reading);
  const ttlMs = 1000 * Math.min(...[...located.values()].map(({ ttl }) => ttl));
  return { found, againMs: Math.min(AGAIN_MAX_MS, Math.max(AGAIN_MIN_MS, ttlMs)) };
}

/** Of one host with one record for backends, and one for each port for servers. */
function foundIn(
  chosen: readonly SrvRecord[],
  located: ReadonlyMap<string, Located>,
  reading: Reading,
): Found[] {
  const { hasPorts } = GROUP_KINDS[reading.kind];
  const keyOf = ({ name, port }: SrvRecord): string => (hasPorts ? `${hostOf(name)} ${port}` : hostOf(name));
  const records = [...new Map(chosen.map((record) => [keyOf(record), record])).values()];
  const isWeighed = new Set(records.map(({ weight }) => weight)).size > 1;
  return records.flatMap(({ name, port, weight }) => {
    const host = hostOf(name);
    const { addresses } = located.get(host)!;
    const isOnePort = records.filter((other) => hostOf(other.name) === host).length === 1;
    return addresses.map((address) => {
      const parts = [
        host,
        ...(addresses.length === 1 ? [] : [address.replaceAll(/[.:]/g, '-')]),
        ...(isOnePort ? [] : [port]),
      ];
      return {
        name: memberName(parts.join('-')),
        address,
        ...portOf(printable(host), port, reading),
        // 0 is for hardly any flow, and here for none.
        ...(isWeighed && { weight: Math.max(1, weightWithin(weight, reading)) }),
      };
    });
  });
}

/** IPv4 addresses, or IPv6 ones where there are none. @throws Error when there is neither, or that cannot be told */
async function locate(resolver: Resolver, host: string): Promise<Located> {
  const found =
    (await addressesOf(host, () => resolver.resolve4(host, { ttl: true }))) ??
    (await addressesOf(host, () => resolver.resolve6(host, { ttl: true })));
  if (found === undefined) throw new Error(`${printable(host)}: has no address`);
  return found;
}

async function addressesOf(
  host: string,
  ask: () => Promise<readonly { readonly address: string; readonly ttl: number }[]>,
): Promise<Located | undefined> {
  try {
    const records = await ask();
    if (records.length === 0) return undefined;
    const addresses = records.flatMap(({ address }) => parseAddress(address)?.text ?? []);
    return { addresses: addresses.sort(), ttl: Math.min(...records.map(({ ttl }) => ttl)) };
  } catch (error) {
    if (NONE.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw new Error(`${printable(host)}: ${why(error, '')}`);
  }
}

function hostOf(target: string): string {
  return target.toLowerCase().replace(/\.$/, '');
}

async function inParts<T, R>(items: readonly T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (let at = 0; at < items.length; at += PARALLEL)
    done.push(...(await Promise.all(items.slice(at, at + PARALLEL).map(task))));
  return done;
}

/** In words: the resolver knows codes only. */
function why(error: unknown, none: string): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (NONE.includes(code)) return none;
  if (code === 'ETIMEOUT') return 'the DNS server does not answer';
  if (code === 'ECONNREFUSED') return 'the DNS server refuses the connection';
  if (code === 'ESERVFAIL') return 'the DNS server fails (SERVFAIL)';
  return `the DNS server answers ${printable(code)}`;
}
