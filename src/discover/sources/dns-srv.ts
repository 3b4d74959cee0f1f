/**
 * SRV records of a DNS name (RFC 2782): each target with its addresses is a backend. Of several priorities only the best counts, since the
 * others are for when its servers are gone. Ports are those of the services here, and not of the records.
 *
 * The answer is whole or none: a target that does not resolve would look like a backend that has gone.
 */
import { Resolver } from 'node:dns/promises';
import { type Endpoint, formatEndpoint } from '../../config/endpoint.js';
import { BACKENDS_PER_POOL_MAX, WEIGHT_MAX } from '../../core/limits.js';
import { printable } from '../../core/printable.js';
import { parseAddress } from '../../packet/address.js';
import type { Answer, FoundBackend, Source } from '../answer.js';
import { backendName } from '../names.js';

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

export function dnsSrvSource(name: string, server: Endpoint | undefined): Source {
  const words = `SRV ${name}${server === undefined ? '' : ` from ${formatEndpoint(server)}`}`;
  return {
    words,
    ask: async (signal) => {
      const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
      if (server !== undefined) resolver.setServers([formatEndpoint(server)]);
      const cancel = (): void => resolver.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      try {
        return await asked(resolver, name);
      } finally {
        signal.removeEventListener('abort', cancel);
      }
    },
  };
}

async function asked(resolver: Resolver, name: string): Promise<Answer> {
  const records = await resolver.resolveSrv(name).catch((error: unknown) => {
    throw new Error(`${name}: ${why(error, 'has no SRV records')}`);
  });
  if (records.length > BACKENDS_PER_POOL_MAX)
    throw new Error(
      `${name}: it has ${records.length} SRV records; ${BACKENDS_PER_POOL_MAX} are read at most`,
    );
  const best = Math.min(...records.map(({ priority }) => priority));
  const chosen = records.filter(({ priority }) => priority === best);
  const weights = new Map(chosen.map((record) => [hostOf(record.name), record.weight]));
  const located = await inParts(
    [...weights.keys()],
    async (host) => [host, await locate(resolver, host)] as const,
  );
  const isWeighed = new Set(weights.values()).size > 1;
  const backends = located.flatMap(([host, { addresses }]): FoundBackend[] =>
    addresses.map((address) => ({
      name: backendName(addresses.length === 1 ? host : `${host}-${address.replaceAll(/[.:]/g, '-')}`),
      address,
      // 0 is for hardly any flow, and here for none.
      ...(isWeighed && { weight: Math.min(WEIGHT_MAX, Math.max(1, weights.get(host)!)) }),
    })),
  );
  const ttlMs = 1000 * Math.min(...located.map(([, { ttl }]) => ttl));
  return { backends, againMs: Math.min(AGAIN_MAX_MS, Math.max(AGAIN_MIN_MS, ttlMs)) };
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
