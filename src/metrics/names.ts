/**
 * Every family of metrics, with its meaning: what a process may answer, and nothing else. docs/reference/metrics.md is generated from
 * this list, and so are dashboards and alert rules.
 *
 * Never a label for each service and each backend at once, and never an address of a client: the number of series is bounded by what
 * the config names.
 */
import { AGENT_FAMILIES } from './families/agent.js';
import { ANNOUNCE_FAMILIES } from './families/announce.js';
import { COMMON_FAMILIES } from './families/common.js';
import { L7_FAMILIES } from './families/l7.js';
import { NODE_FAMILIES } from './families/node.js';
import type { Family, MetricsProcess } from './family.js';

/** Of every process. */
export const COMMON = COMMON_FAMILIES;

/** Of each process alone. */
export const OWN = {
  node: NODE_FAMILIES,
  agent: AGENT_FAMILIES,
  l7: L7_FAMILIES,
  announce: ANNOUNCE_FAMILIES,
} as const satisfies Readonly<Record<MetricsProcess, Readonly<Record<string, Family>>>>;

type Named<Families> = Extract<keyof Families, string>;
export type FamilyName =
  | Named<typeof COMMON>
  | Named<typeof NODE_FAMILIES>
  | Named<typeof AGENT_FAMILIES>
  | Named<typeof L7_FAMILIES>
  | Named<typeof ANNOUNCE_FAMILIES>;

export const FAMILIES: Readonly<Record<FamilyName, Family>> = {
  ...COMMON,
  ...NODE_FAMILIES,
  ...AGENT_FAMILIES,
  ...L7_FAMILIES,
  ...ANNOUNCE_FAMILIES,
};

/** What a process may answer, in the order of the page. */
export function familiesOf(process: MetricsProcess): Readonly<Record<string, Family>> {
  return { ...OWN[process], ...COMMON };
}
