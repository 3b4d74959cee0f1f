/** The run as a picture: what the clients had, what the backends' queues held, and where the flood's packets ended. */
import { COLOURS, type Curve, drawTimeline, rateOf, secondsOf, trafficCurves } from '../survive/timeline.js';
import { absorbedIn, passedIn } from './judge.js';
import type { Witnessed } from './part.js';

/** @param parts one after the other, on one axis */
export function drawParts(title: string, parts: readonly Witnessed[]): Promise<string> {
  const startMs = parts[0]!.startMs;
  const samples = parts.flatMap((part) => part.samples.filter(({ atMs }) => atMs >= part.startMs));
  const looks = parts.flatMap((part) => part.looks);
  /** Rates of totals that begin anew with each part. */
  const rates = (total: (look: (typeof looks)[number]) => number): Curve['points'] =>
    parts.flatMap((part) =>
      rateOf(
        startMs,
        part.looks.map((look) => ({ atMs: look.atMs, total: total(look) })),
      ),
    );
  const events = parts.flatMap(({ defended, startMs: fromMs, played }) => [
    { title: `defence ${defended ? 'on' : 'off'}`, atSeconds: secondsOf(startMs, fromMs) },
    ...played.map((each) => ({ title: each.title, atSeconds: secondsOf(startMs, each.atMs) })),
  ]);
  return drawTimeline({
    title,
    events,
    curves: [
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
      {
        name: 'packets a second that end at the forwarders',
        colour: COLOURS.green,
        points: rates(absorbedIn),
      },
      { name: 'packets a second that forwarders send on', colour: COLOURS.red, points: rates(passedIn) },
    ],
  });
}
