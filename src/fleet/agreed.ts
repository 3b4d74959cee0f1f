/**
 * What the nodes of a fleet say together of a backend: it is down for all when more than half of those that know it see it down. Pure.
 *
 *   this node's view --\
 *   others' fresh views --> those that know the backend --> more than half see it down? --> down, or else up
 *
 * It has no memory: the same views give the same marks on every node, in whatever order they came.
 *
 * Half of the nodes are not enough: of two nodes that differ nobody can tell which one is blind, and a packet for a backend that may work is
 * better than taking a good one from all. The own view decides no tie, because then the two would have different tables.
 */
import { listed } from '../core/listed.js';

/** What a node says of its backends. */
export interface HealthView {
  readonly node: string;
  /** Of the config that it goes by: it knows the backends of that one. */
  readonly revision: number;
  /** `pool/backend`; the others that it knows are up. */
  readonly down: ReadonlySet<string>;
}

export interface Agreed {
  readonly isUp: boolean;
  /** Others that see it down, sorted. */
  readonly others: readonly string[];
  /** How many see it down, this node included. */
  readonly down: number;
  /** How many know it, this node included; 1: it goes by its own view. */
  readonly of: number;
}

const NAMED_MAX = 5;
const NOBODY: readonly HealthView[] = [];

/** Made once for what the others say, then asked for each backend: 10,000 take some milliseconds. */
export class Agreement {
  readonly #views: readonly HealthView[];
  readonly #oldest: number;
  /** By `pool/backend`. */
  readonly #down = new Map<string, HealthView[]>();

  /** @param others the fresh views of other nodes, in any order */
  constructor(others: readonly HealthView[]) {
    this.#views = [...others].sort((a, b) => (a.node < b.node ? -1 : 1));
    this.#oldest = Math.min(...others.map(({ revision }) => revision));
    for (const view of this.#views)
      for (const name of view.down) {
        const known = this.#down.get(name);
        if (known === undefined) this.#down.set(name, [view]);
        else known.push(view);
      }
  }

  /** How many views there are, this node's included. */
  get views(): number {
    return this.#views.length + 1;
  }

  /**
   * @param name `pool/backend`
   * @param since the revision that brought it; a view by an older one does not count
   * @param isUp by this node's own view
   */
  of(name: string, since: number, isUp: boolean): Agreed {
    const knows = ({ revision }: HealthView): boolean => revision >= since;
    const isKnown = this.#oldest >= since; // as good as always
    const said = this.#down.get(name) ?? NOBODY;
    const others = (isKnown ? said : said.filter(knows)).map(({ node }) => node);
    const of = 1 + (isKnown ? this.#views : this.#views.filter(knows)).length;
    const down = others.length + (isUp ? 0 : 1);
    return { isUp: of === 1 ? isUp : isAgreedUp(down, of), others, down, of };
  }
}

/** What somebody sees down, as it looks from outside; sorted. */
export function seenDown(views: readonly HealthView[]): SeenDown[] {
  const nodes = new Map<string, string[]>();
  for (const { node, down } of views)
    for (const name of down) nodes.set(name, [...(nodes.get(name) ?? []), node]);
  return [...nodes]
    .map(([backend, by]) => ({ backend, isUp: isAgreedUp(by.length, views.length), by: by.sort() }))
    .sort((a, b) => (a.backend < b.backend ? -1 : 1));
}

export interface SeenDown {
  /** `pool/backend` */
  readonly backend: string;
  /** For the fleet. */
  readonly isUp: boolean;
  /** Nodes. */
  readonly by: readonly string[];
}

/** Whether a node that sees so many of a pool down, against the others, is blind rather than right. */
export function seesMostDown(disputed: number, all: number): boolean {
  return 2 * disputed > all;
}

/** How long others may at least take to see what a node sees. */
const LATER_MS_MIN = 1_000;

/** How long after one node the last one sees a backend of a pool down. */
export function laterMs(
  checks: readonly { readonly intervalMs: number; readonly fall: number; readonly timeoutMs: number }[],
): number {
  return Math.max(
    LATER_MS_MIN,
    ...checks.map(({ intervalMs, fall, timeoutMs }) => intervalMs * fall + timeoutMs),
  );
}

function isAgreedUp(down: number, of: number): boolean {
  return 2 * down <= of;
}

/**
 * What is wrong with a backend, in words, the own reason first; undefined when nothing is.
 * @param own by this node's own view; undefined when it sees the backend up
 */
export function agreedReason(
  own: string | undefined,
  { isUp, others, down, of }: Agreed,
): string | undefined {
  if (of === 1 || (isUp && own === undefined)) return own;
  const who = `${down} of ${of} nodes ${down === 1 ? 'sees' : 'see'} it down`;
  if (isUp) return `${own}; it counts as up all the same, since only ${who}`;
  return own === undefined
    ? `${who} (${listed(others, { most: NAMED_MAX })}), and this one does not`
    : `${own}; ${who}`;
}
