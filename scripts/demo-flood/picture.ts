/**
 * The run as a picture: what the clients had, what the backends' queues held, and where the flood's packets ended. The parts stand one
 * after the other, without the time that one fleet took to go and the next one to start.
 */
import {
  COLOURS,
  type Curve,
  drawTimeline,
  rateOf,
  type Span,
  secondsOf,
  trafficCurves,
} from '../survive/timeline.js';
import { absorbedIn, passedIn } from './judge.js';
import type { Witnessed } from './part.js';
import type { Look } from './witness.js';

const BETWEEN_MS = 2_000;
const BACKGROUND = { off: '#fdf1ea', on: '#eef7f4' } as const;

export function drawParts(title: string, parts: readonly Witnessed[]): Promise<string> {
  const startMs = parts[0]!.startMs;
  const row = inARow(parts);
  const drawn = row.map((part) => curvesOf(startMs, part));
  return drawTimeline({
    title,
    events: row.flatMap(({ played }) =>
      played.map((each) => ({ title: each.title, atSeconds: secondsOf(startMs, each.atMs) })),
    ),
    spans: row.map((part) => spanOf(startMs, part)),
    curves: drawn[0]!.map((curve, i) => ({ ...curve, points: joined(drawn.map((all) => all[i]!.points)) })),
  });
}

/** As if each part had begun soon after the one before. */
function inARow(parts: readonly Witnessed[]): Witnessed[] {
  let nextMs = parts[0]!.startMs;
  return parts.map((part) => {
    const byMs = nextMs - part.startMs;
    const moved = <T extends { readonly atMs: number }>(all: readonly T[]): T[] =>
      all.map((each) => ({ ...each, atMs: each.atMs + byMs }));
    nextMs = endOf(part) + byMs + BETWEEN_MS;
    const { startMs, played, samples, looks } = part;
    return {
      ...part,
      startMs: startMs + byMs,
      played: moved(played),
      samples: moved(samples),
      looks: moved(looks),
    };
  });
}

function endOf({ startMs, samples, looks }: Witnessed): number {
  return Math.max(startMs, samples.at(-1)?.atMs ?? 0, looks.at(-1)?.atMs ?? 0);
}

function spanOf(startMs: number, part: Witnessed): Span {
  return {
    title: part.defended ? 'with defence' : 'without defence',
    fromSeconds: secondsOf(startMs, part.startMs),
    toSeconds: secondsOf(startMs, endOf(part)),
    colour: part.defended ? BACKGROUND.on : BACKGROUND.off,
  };
}

function curvesOf(startMs: number, { startMs: fromMs, samples: all, looks }: Witnessed): Curve[] {
  const samples = all.filter(({ atMs }) => atMs >= fromMs);
  const rate = (total: (look: Look) => number): Curve['points'] =>
    rateOf(
      startMs,
      looks.map((look) => ({ atMs: look.atMs, total: total(look) })),
    );
  return [
    ...trafficCurves(startMs, samples),
    {
      name: 'slowest answer, in milliseconds',
      colour: COLOURS.orange,
      points: samples.map(({ atMs, slowestMs }) => [secondsOf(startMs, atMs), slowestMs]),
    },
    {
      name: "half-open connections in a backend's SYN queues",
      colour: COLOURS.pink,
      points: looks.map(({ atMs, halfOpen }) => [secondsOf(startMs, atMs), halfOpen]),
    },
    { name: 'packets a second that end at the forwarders', colour: COLOURS.green, points: rate(absorbedIn) },
    { name: 'packets a second that forwarders send on', colour: COLOURS.red, points: rate(passedIn) },
  ];
}

/** With a gap between two. */
function joined(all: readonly Curve['points'][]): Curve['points'] {
  return all.flatMap((points, i): Curve['points'] =>
    i === 0 || points.length === 0 ? points : [[points[0]![0], null], ...points],
  );
}
