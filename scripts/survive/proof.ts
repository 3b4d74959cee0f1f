/**
 * What a run must have shown for its "0 broken" to mean something: the connections were there and talked, every event took place and
 * put some of them at risk, and those that live on another backend than their packets go to were reached by second hops, some of them
 * by third ones.
 */
import type { EventResult, Verdict } from './judge.js';

/** What the traffic was to be. */
export interface Expected {
  readonly held: number;
  readonly shortsPerSecond: number;
  /** On each held connection, a second, at least. */
  readonly answersPerSecond: number;
  readonly secondChance: boolean;
}

/** On a busy machine the client is late now and then. */
const SHORTS_SHARE_MIN = 0.5;
/** Of those that are open then, at least. */
const REHASHED_SHARE_MIN = 0.5;

/** Why the run proves less than it says; empty when it does not. */
export function shortcomings(verdict: Verdict, expected: Expected): string[] {
  const { held, throughout, leastAnswers, shortsPerSecond, events, broken, hops } = verdict;
  const ended = broken.filter(({ kind }) => kind === 'held').length;
  return [
    ...when(events.length === 0, 'nothing happened'),
    ...when(held !== expected.held, `${held} connections were held, and not ${expected.held}`),
    ...when(
      throughout + ended < held,
      `${held - ended - throughout} held connections were not open from before the first event to after the last`,
    ),
    ...when(
      throughout > 0 && leastAnswers < expected.answersPerSecond,
      `a held connection had ${leastAnswers.toFixed(2)} answers a second, and not ${expected.answersPerSecond}`,
    ),
    ...when(
      shortsPerSecond < expected.shortsPerSecond * SHORTS_SHARE_MIN,
      `${shortsPerSecond.toFixed(1)} short connections began each second, and not ${expected.shortsPerSecond}`,
    ),
    ...when(expected.secondChance && hops.thirdHops === 0, 'no packet went on to a second alternate'),
    ...events.flatMap((event) => eventShortcomings(event, expected.secondChance)),
  ];
}

function eventShortcomings(event: EventResult, secondChance: boolean): string[] {
  const { title, open, atRisk, away, secondHops, rehashes } = event;
  const few = rehashes && atRisk < open * REHASHED_SHARE_MIN;
  return [
    ...when(atRisk === 0, `${title}: put nothing at risk`),
    ...when(few, `${title}: ${atRisk} of ${open} connections went another way`),
    ...when(
      secondChance && away > 0 && secondHops === 0,
      `${title}: ${away} connections live elsewhere, and no packet took a second hop`,
    ),
  ];
}

function when(isSo: boolean, text: string): string[] {
  return isSo ? [text] : [];
}
