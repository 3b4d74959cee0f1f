/**
 * Feeds GoBGP through its command: what gobgpd announces by itself is compared with the table after each change and once a second, and
 * mended. So a gobgpd that starts anew, with no routes, gets them again, and nothing has to be remembered here.
 *
 * A command takes some 7 ms, and every VIP that changes takes one.
 */
import { AnyhopError } from '../../core/errors.js';
import { GOBGP_AT_ONCE, GOBGP_ROUND } from '../../core/limits.js';
import { type RunTool, requireTool } from '../../core/tool.js';
import { parsePrefix } from '../../packet/address.js';
import { changesOf, type Route, watchTables } from './watch.js';

const PROGRAM = 'gobgp';
const MED = 4;
const COMMUNITIES = 8;
/** 65535:0, GRACEFUL_SHUTDOWN. */
const GRACEFUL_SHUTDOWN = 0xffff0000;
/** The next hop of routes that gobgpd itself originates. */
const ITSELF = ['0.0.0.0', '::'];

export interface GobgpFeed {
  /** Absolute path of gobgpd's socket. */
  readonly socket: string;
  readonly run: RunTool;
  /** As those of `ExabgpFeed`; `failed` is told of gobgpd as well. */
  read(): ReadonlyMap<string, Route>;
  failed(reason: unknown): void;
}

/** Resolves when it has ended after the signal. */
export async function feedGobgp(feed: GobgpFeed, signal: AbortSignal): Promise<void> {
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  let running: Promise<void> = Promise.resolve();
  const watch = watchTables(() => {
    running = mendAll(feed, signal).then(
      () => feed.failed(undefined),
      (error: unknown) => feed.failed(error),
    );
    return running;
  });
  await ended;
  await watch.close();
  await running;
}

async function mendAll(feed: GobgpFeed, signal: AbortSignal): Promise<void> {
  while (await mend(feed, signal));
}

/** Resolves to whether there is more to do; what came in between is looked at first, so that a withdrawal never waits for a thousand VIPs. */
async function mend({ read, socket, run }: GobgpFeed, signal: AbortSignal): Promise<boolean> {
  const gobgp = (...args: string[]): Promise<string> =>
    requireTool(run, PROGRAM, ['--target', `unix://${socket}`, ...args]);
  const wanted = read();
  const present = new Map<string, Route>();
  for (const family of ['ipv4', 'ipv6'])
    for (const route of routesIn(await gobgp('-j', 'global', 'rib', '-a', family)))
      present.set(route.prefix, route);
  const { announce, withdraw } = changesOf(wanted, present);
  const commands = [
    ...withdraw.map(({ prefix, family }) => ['del', prefix, '-a', `ipv${family}`]),
    ...announce.map(({ prefix, family, med, draining }) => [
      ...['add', prefix, '-a', `ipv${family}`, 'origin', 'igp', 'med', String(med)],
      ...(draining ? ['community', '65535:0'] : []),
    ]),
  ];
  const now = commands.slice(0, GOBGP_ROUND);
  const worker = async (): Promise<void> => {
    for (let command = now.shift(); command !== undefined && !signal.aborted; command = now.shift())
      await gobgp('global', 'rib', ...command);
  };
  // All end before the next round, also when one fails.
  const ended = await Promise.allSettled(Array.from({ length: GOBGP_AT_ONCE }, worker));
  const failed = ended.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return commands.length > GOBGP_ROUND && !signal.aborted;
}

interface Path {
  readonly attrs?: readonly { type: number; metric?: number; communities?: number[]; nexthop?: string }[];
}

/**
 * The host routes that gobgpd originates, in what `gobgp -j global rib` prints.
 * @throws AnyhopError ERR_TOOL when it is something else
 */
export function routesIn(text: string): Route[] {
  let table: Record<string, readonly Path[]>;
  try {
    // Of an empty table it says so in words.
    table = text.trim() === 'Network not in table' ? {} : JSON.parse(text);
  } catch (cause) {
    throw new AnyhopError('ERR_TOOL', `${PROGRAM} printed no list of routes`, { cause });
  }
  return Object.entries(table).flatMap(([text, paths]) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined || prefix.length !== prefix.address.bytes.length * 8) return [];
    const own = paths.find(({ attrs }) => attrs?.some(({ nexthop }) => ITSELF.includes(nexthop ?? '')));
    if (own === undefined) return [];
    const med = own.attrs?.find(({ type }) => type === MED)?.metric ?? 0;
    const communities = own.attrs?.find(({ type }) => type === COMMUNITIES)?.communities ?? [];
    const draining = communities.includes(GRACEFUL_SHUTDOWN);
    return [{ prefix: prefix.text, family: prefix.address.family, med, draining }];
  });
}
