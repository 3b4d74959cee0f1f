/** From what was seen of a part to what it means: figures for each flood, and why it is no success. Pure functions. */
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import type { PlayedFlood, Witnessed } from './part.js';
import type { Look } from './witness.js';

export interface FloodResult {
  readonly title: string;
  /** Seconds since the clients' connections were open. */
  readonly atSeconds: number;
  readonly packets: number;
  readonly packetsPerSecond: number;
  /** New connections that began in it. */
  readonly begun: number;
  /** Connections, new and long ones, that failed in it. */
  readonly failed: number;
  /** Of new connections, in milliseconds: half of the handshakes, and all but one in a hundred, took no longer. */
  readonly handshakeMs: { readonly half: number; readonly most: number } | undefined;
  /** In the fullest SYN queue of a backend. */
  readonly halfOpen: number;
  /** Packets that ended at the forwarders: dropped, or answered. */
  readonly absorbed: number;
  /** Packets that the forwarders sent on to backends. */
  readonly passed: number;
}

export interface Verdict {
  readonly defended: boolean;
  readonly connections: number;
  /** With how often, the most frequent first. */
  readonly failures: readonly { readonly why: string; readonly count: number }[];
  readonly failed: number;
  readonly absorbed: number;
  /** SYNs that the backends' kernels answered with cookies of their own. */
  readonly kernelCookies: number;
  readonly floods: readonly FloodResult[];
  /** Why the part is no success, or proves less than it should. */
  readonly shortcomings: readonly string[];
}

/** Less is no flood. */
const PACKETS_PER_SECOND_MIN = 10_000;
/** Of a flood that a defended fleet ends: what passes until the defence begins, within the limits, and the clients' own packets. */
const PASSED_SHARE_MAX = 0.35;
const ABSORBING: readonly string[] = VERDICTS.filter(
  ({ action }) => action === 'drop' || action === 'answer',
).map(({ name }) => name);
const PASSING: readonly string[] = VERDICTS.filter(({ action }) => action === 'forward').map(
  ({ name }) => name,
);

export function judge(seen: Witnessed): Verdict {
  const { defended, startMs, played, connections, looks, held } = seen;
  const floods = played.map((each, i) => resultOf(each, played[i + 1]?.atMs ?? Infinity, startMs, seen));
  const broken = connections.filter((each) => each.broken !== null);
  const throughout = connections.filter(
    (each) => each.kind === 'held' && each.endedAtMs >= (played.at(-1)?.doneMs ?? Infinity),
  );
  const shorts = connections.filter(({ kind }) => kind === 'short').length;
  const absorbed = absorbedIn(looks.at(-1));
  return {
    defended,
    connections: connections.length,
    failures: counted(
      broken.map(({ kind, broken: why }) => `${kind === 'held' ? 'long' : 'new'} one: ${why}`),
    ),
    failed: broken.length,
    absorbed,
    kernelCookies: looks.at(-1)?.kernelCookies ?? 0,
    floods,
    shortcomings: [
      ...(broken.length === 0 ? [] : [`${broken.length} connections failed`]),
      ...(throughout.length >= held - broken.length
        ? []
        : [`only ${throughout.length} of ${held} connections were open throughout`]),
      ...(shorts === 0 ? ['there were no new connections'] : []),
      ...floods.flatMap(({ title, packetsPerSecond }) =>
        packetsPerSecond < PACKETS_PER_SECOND_MIN
          ? [`${title}: only ${Math.round(packetsPerSecond)} packets a second`]
          : [],
      ),
      ...(defended ? floods.flatMap((each, i) => (played[i]!.endsAtEdge ? letThrough(each) : [])) : []),
    ],
  };
}

function resultOf(flood: PlayedFlood, untilMs: number, startMs: number, seen: Witnessed): FloodResult {
  const { atMs, doneMs, made, title } = flood;
  const during = seen.looks.filter((look) => look.atMs >= atMs && look.atMs < doneMs);
  const before = seen.looks.findLast((look) => look.atMs < atMs);
  const begun = seen.connections.filter(
    ({ kind, openedAtMs }) => kind === 'short' && openedAtMs >= atMs && openedAtMs < doneMs,
  );
  const took = begun
    .flatMap(({ connectedMs }) => (connectedMs === null ? [] : [connectedMs]))
    .sort((a, b) => a - b);
  const quantile = (share: number): number => took[Math.floor(took.length * share)]!;
  return {
    title,
    atSeconds: (atMs - startMs) / 1000,
    packets: made.packets,
    packetsPerSecond: made.rate,
    begun: begun.length,
    failed: seen.connections.filter(
      ({ brokenSinceMs }) => brokenSinceMs !== null && brokenSinceMs >= atMs && brokenSinceMs < untilMs,
    ).length,
    handshakeMs: took.length === 0 ? undefined : { half: quantile(0.5), most: quantile(0.99) },
    halfOpen: Math.max(0, ...during.map(({ halfOpen }) => halfOpen)),
    absorbed: absorbedIn(during.at(-1)) - absorbedIn(before),
    passed: passedIn(during.at(-1)) - passedIn(before),
  };
}

function letThrough({ title, passed, packets }: FloodResult): string[] {
  return passed > packets * PASSED_SHARE_MAX
    ? [`${title}: ${passed} packets were sent on to backends, of a flood of ${packets}`]
    : [];
}

/** Packets that ended at the forwarders. */
export const absorbedIn = (look: Look | undefined): number => sumOf(look, ABSORBING);
/** Packets that were sent on to backends. */
export const passedIn = (look: Look | undefined): number => sumOf(look, PASSING);

function sumOf(look: Look | undefined, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (look?.verdicts[name] ?? 0), 0);
}

function counted(whys: readonly string[]): { why: string; count: number }[] {
  return [...new Set(whys)]
    .map((why) => ({ why, count: whys.filter((each) => each === why).length }))
    .sort((one, other) => other.count - one.count);
}
