/** Runs the checks of a place, all at once, each for a bounded time, and gathers what they found. */
import { reasonOf } from '../core/reason.js';
import { formatDuration } from '../core/time.js';
import { type Check, type Finding, LEVELS, type Level, Unseen } from './check.js';
import { Facts, type Place } from './facts.js';
import type { Host } from './host.js';

/** A check that takes longer counts as one that could not look. */
const CHECK_MS_MAX = 8_000;
/** Of one check: a fleet of thousands of backends may have the same fault on each. */
const FINDINGS_MAX = 16;

export interface Outcome {
  readonly check: string;
  readonly findings: readonly Finding[];
  /** Findings beyond FINDINGS_MAX. */
  readonly more: number;
  /** Why it could not look. */
  readonly unseen: string | undefined;
}

export interface Diagnosis {
  readonly place: Place;
  /** In the order of the checks. */
  readonly outcomes: readonly Outcome[];
}

export async function diagnose(host: Host, place: Place, checks: readonly Check[]): Promise<Diagnosis> {
  const facts = new Facts(host, place);
  const here = checks.filter(({ where }) => where.includes(place.where));
  return { place, outcomes: await Promise.all(here.map((check) => look(check, facts))) };
}

async function look(check: Check, facts: Facts): Promise<Outcome> {
  const late = new AbortController();
  const limit = new Promise<never>((_, reject) => {
    const timer = setTimeout(
      () => reject(new Unseen(`it took longer than ${formatDuration(CHECK_MS_MAX)}`)),
      CHECK_MS_MAX,
    );
    late.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  try {
    const found = await Promise.race([Promise.resolve().then(() => check.run(facts)), limit]);
    const more = Math.max(0, found.length - FINDINGS_MAX);
    return { check: check.name, findings: bySeverity(found).slice(0, FINDINGS_MAX), more, unseen: undefined };
  } catch (error) {
    return { check: check.name, findings: [], more: 0, unseen: reasonOf(error) };
  } finally {
    late.abort();
  }
}

function bySeverity(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
}

/** Of all findings; undefined when there is none. */
export function worstOf(diagnoses: readonly Diagnosis[]): Level | undefined {
  const found = new Set(
    diagnoses.flatMap(({ outcomes }) =>
      outcomes.flatMap(({ findings }) => findings.map(({ level }) => level)),
    ),
  );
  return LEVELS.find((level) => found.has(level));
}
