/**
 * Feeds ExaBGP through the pipes of a process in its config: a line for each change of a route on standard output, and its answers on
 * standard input, whose end says that ExaBGP is gone.
 *
 * ExaBGP keeps the routes of a process that died and starts the next one without saying what they are. So this asks first what ExaBGP
 * announces. It never ends because of a failure: after a few deaths a minute, ExaBGP itself would end.
 */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { FEED_ANSWER_MS } from '../../core/limits.js';
import { type IpAddress, parsePrefix } from '../../packet/address.js';
import { type Changes, changesOf, type Route, type RowsWatch, watchTables } from './watch.js';

const SHOW = 'show adj-rib out extensive';
const ROUTE =
  /^neighbor (\S+) .*\bipv[46] unicast (\S+) next-hop self\b.*? med (\d+)( community \[?[^\]]*65535:0)?/;

export interface ExabgpFeed {
  readonly neighbors: readonly IpAddress[];
  /** Where ExaBGP's answers come from, and where its commands go. */
  readonly answers: Readable;
  readonly commands: Writable;
  /** @throws Error when the table cannot be read: then nothing changes */
  read(): ReadonlyMap<string, Route>;
  /** Told of each new reason why the table cannot be read, and of undefined when it can be again. */
  failed(reason: unknown): void;
}

/** Resolves when ExaBGP is gone. */
export async function feedExabgp(feed: ExabgpFeed): Promise<void> {
  const { answers, commands, neighbors } = feed;
  const gone = new AbortController();
  const ended = new Promise<void>((resolve) => gone.signal.addEventListener('abort', () => resolve()));
  commands.on('error', () => gone.abort());
  const lines = createInterface({ input: answers }).on('close', () => gone.abort());
  const present = await presentRoutes(lines, commands, neighbors, ended);
  let watch: RowsWatch | undefined;
  if (!gone.signal.aborted)
    watch = watchTables(async () => {
      let wanted: ReadonlyMap<string, Route>;
      try {
        wanted = feed.read();
        feed.failed(undefined);
      } catch (error) {
        feed.failed(error);
        return;
      }
      for (const { text, family } of neighbors) {
        const own = present.get(text)!;
        const ofFamily = new Map([...wanted].filter(([, route]) => route.family === family));
        await write(commands, commandsOf(text, changesOf(ofFamily, own)), ended);
        present.set(text, ofFamily);
      }
    });
  await ended;
  await watch?.close();
  lines.close();
}

/** Waits for the end of ExaBGP's answer, which has no mark, as the time without another line. */
async function presentRoutes(
  lines: ReturnType<typeof createInterface>,
  commands: Writable,
  neighbors: readonly IpAddress[],
  ended: Promise<void>,
): Promise<Map<string, ReadonlyMap<string, Route>>> {
  const present = new Map(neighbors.map(({ text }) => [text, new Map<string, Route>()]));
  let timer: NodeJS.Timeout | undefined;
  const quiet = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, FEED_ANSWER_MS);
  });
  const take = (line: string): void => {
    timer?.refresh();
    const found = routeOf(line);
    if (found !== undefined) present.get(found.neighbor)?.set(found.route.prefix, found.route);
  };
  lines.on('line', take);
  await write(commands, `${SHOW}\n`, ended);
  await Promise.race([quiet, ended]);
  clearTimeout(timer);
  lines.off('line', take);
  // All later answers are read and dropped: ExaBGP stops for good at a full pipe.
  lines.on('line', () => {});
  return present;
}

/** A route of a VIP in the answer to `show adj-rib out extensive`; undefined for any other line. */
export function routeOf(line: string): { readonly neighbor: string; readonly route: Route } | undefined {
  const match = ROUTE.exec(line);
  if (match === null) return undefined;
  const [, neighbor, text, med, draining] = match;
  const prefix = parsePrefix(text!);
  if (prefix === undefined || prefix.length !== prefix.address.bytes.length * 8) return undefined;
  const { family } = prefix.address;
  return {
    neighbor: neighbor!,
    route: { prefix: prefix.text, family, med: Number(med), draining: draining !== undefined },
  };
}

/** A line each, to one neighbour: others may not speak the IP version. */
export function commandsOf(neighbor: string, { announce, withdraw }: Changes): string {
  return [
    ...withdraw.map(({ prefix }) => `neighbor ${neighbor} withdraw route ${prefix}\n`),
    ...announce.map(
      ({ prefix, med, draining }) =>
        `neighbor ${neighbor} announce route ${prefix} next-hop self med ${med}${draining ? ' community [65535:0]' : ''}\n`,
    ),
  ].join('');
}

async function write(commands: Writable, text: string, ended: Promise<void>): Promise<void> {
  if (text === '') return;
  await Promise.race([new Promise<void>((resolve) => commands.write(text, () => resolve())), ended]);
}
