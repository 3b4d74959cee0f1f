/**
 * Keeps the backends of pools with `backends_from`, and the servers of upstreams with `servers_from`, what their sources say, as far as they
 * are to be believed:
 *
 *   sources --> debounce --> decide --> the host's way of changing a config     node: its queue; proxy host: a reload; fleet: a revision
 *
 * One change at a time, of all groups together. What would have to wait for earlier changes is not begun: it is decided anew when it need
 * not, so that an operator's change never waits behind one that nobody asked for.
 */
import { isDeepStrictEqual } from 'node:util';
import { type GroupKey, groupOf } from '../config/discover/kinds.js';
import type { FoundGroups } from '../config/edit/found.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import type { Source } from './answer.js';
import { type Alarm, type Decision, decide, type IdHolders } from './decide.js';
import type { Group } from './groups.js';
import type { RecentStates } from './recent.js';
import { sourceOf } from './sources/sources.js';
import { SourceWatch } from './watch.js';

export interface DiscoveryHost {
  /** Those with a source, as the config in force has them. */
  groups(): readonly Group[];
  /** Whether the drain of a member is done. */
  isDrained(group: Group, member: string): boolean;
  /** Who has each id, where backends of the group need one. */
  idHolders?(group: Group): IdHolders | undefined;
  /** Groups and states that it has seen. */
  readonly recent: RecentStates;
  /**
   * Puts other members in force.
   * @returns what that would have to wait for, in words; empty when they are in force
   * @throws when they are refused; nothing was changed
   */
  apply(found: FoundGroups, changes: readonly string[]): Promise<readonly string[]>;
}

export interface DiscoveryStatus {
  /** What it fills: a pool or an upstream. */
  readonly pool?: string;
  readonly upstream?: string;
  readonly source: string;
  readonly answeredAt: string | null;
  /** How many the last answer had; null before the first one. */
  readonly backends?: number | null;
  readonly servers?: number | null;
  readonly alarm?: { readonly kind: Alarm['kind']; readonly text: string; readonly since: string };
  /** What a change waits for. */
  readonly waits?: readonly string[];
}

export interface DiscoveryOptions {
  readonly host: DiscoveryHost;
  readonly log: Logger;
  readonly source?: (kind: Group['kind'], from: Group['from']) => Source;
  readonly now?: () => number;
}

/** How often it looks whether a drain is done, or what waited need not any more. */
const LOOK_MS = 1_000;
/** After a change that was refused, or would have had to wait: a config of 1,000 backends takes 200 ms to plan. */
const RETRY_MS = 5_000;

/** Without what is wrong with it. */
export function statusOf(
  key: GroupKey,
  { words: source, answeredAt, found }: Pick<SourceWatch, 'words' | 'answeredAt' | 'found'>,
): DiscoveryStatus {
  const { kind, name } = groupOf(key);
  const answer = { source, answeredAt: answeredAt?.toISOString() ?? null };
  const count = found?.length ?? null;
  return kind === 'pool'
    ? { pool: name, ...answer, backends: count }
    : { upstream: name, ...answer, servers: count };
}

interface Watched {
  readonly from: Group['from'];
  readonly watch: SourceWatch;
  alarm: { readonly alarm: Alarm; readonly since: string } | undefined;
  waits: readonly string[];
}

interface Decided {
  readonly group: Group;
  readonly watched: Watched;
  readonly decision: Decision;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #now: () => number;
  readonly #watched = new Map<GroupKey, Watched>();
  readonly #looks = new Rerun(() => this.#look());
  readonly #timer: NodeJS.Timeout;
  #notBeforeMs = 0;
  readonly #refused = new Map<GroupKey, Alarm>();
  #isClosed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#timer = setInterval(() => void this.#looks.ask(), LOOK_MS).unref();
    void this.#looks.ask();
  }

  get status(): DiscoveryStatus[] {
    return [...this.#watched].map(([key, { watch, alarm, waits }]) => ({
      ...statusOf(key, watch),
      ...(alarm && { alarm: { ...alarm.alarm, since: alarm.since } }),
      ...(waits.length > 0 && { waits }),
    }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#watched.values()].map(({ watch }) => watch.close()));
    await this.#looks.idle();
  }

  async #look(): Promise<void> {
    if (this.#isClosed) return;
    const { host } = this.#options;
    const groups = host.groups();
    this.#follow(groups);
    host.recent.saw(groups);
    const decided = groups.flatMap((group): Decided[] => {
      const watched = this.#watched.get(group.key)!;
      const decision = this.#decide(group, watched);
      return decision === undefined ? [] : [{ group, watched, decision }];
    });
    const changed = decided.filter(({ decision }) => decision.changes.length > 0);
    for (const { group, watched, decision } of decided) {
      if (decision.changes.length > 0) continue;
      this.#refused.delete(group.key);
      watched.waits = [];
    }
    if (changed.length > 0 && this.#now() >= this.#notBeforeMs) await this.#applyAll(changed);
    for (const { group, watched, decision } of decided)
      this.#alarm(group, watched, this.#refused.get(group.key) ?? decision.alarm);
  }

  /** Watches the sources of these groups and no others. */
  #follow(groups: readonly Group[]): void {
    const wanted = new Map(groups.map((group) => [group.key, group]));
    for (const [key, { from, watch }] of this.#watched) {
      if (isDeepStrictEqual(wanted.get(key)?.from, from)) continue;
      this.#watched.delete(key);
      void watch.close();
    }
    const { host, source = sourceOf } = this.#options;
    for (const [key, { kind, from }] of wanted) {
      if (this.#watched.has(key)) continue;
      const { debounceMs } = from;
      const known = (): string[] =>
        host
          .groups()
          .find((group) => group.key === key)
          ?.members.map(({ name }) => name) ?? [];
      const heard = (): void => {
        void this.#looks.ask();
        setTimeout(() => void this.#looks.ask(), debounceMs + 1).unref();
      };
      const watch = new SourceWatch({ source: source(kind, from), debounceMs, known, heard, now: this.#now });
      this.#watched.set(key, { from, watch, alarm: undefined, waits: [] });
    }
  }

  /** Undefined while there is nothing to say. */
  #decide(group: Group, { from, watch }: Watched): Decision | undefined {
    const { host } = this.#options;
    const { kind, members: inForce } = group;
    if (watch.failure !== undefined)
      return { next: inForce, changes: [], alarm: { kind: 'no_answer', text: watch.failure } };
    const holds = watch.holds();
    if (watch.found === undefined || holds === undefined) return undefined;
    return decide({
      kind,
      inForce,
      recent: host.recent.of(group),
      found: watch.found,
      limits: from,
      holds,
      isDrained: (member) => host.isDrained(group, member),
      idHolders: () => host.idHolders?.(group),
    });
  }

  /** Together; and when that is refused, each group alone, so that one does not hold up the others. */
  async #applyAll(changed: readonly Decided[]): Promise<void> {
    if (await this.#apply(changed)) return;
    if (changed.length > 1) for (const each of changed) await this.#apply([each]);
  }

  /** @returns whether it was not refused */
  async #apply(changed: readonly Decided[]): Promise<boolean> {
    const { host, log } = this.#options;
    const found = new Map(changed.map(({ group, decision }) => [group.key, decision.next]));
    const changes = changed.flatMap(({ group, decision }) =>
      decision.changes.map((each) => `${group.kind === 'pool' ? group.name : group.key}: ${each}`),
    );
    try {
      const waits = await host.apply(found, changes);
      for (const { group, watched } of changed) {
        this.#refused.delete(group.key);
        watched.waits = waits;
      }
      if (waits.length > 0) this.#notBeforeMs = this.#now() + RETRY_MS;
      else
        log.info(
          { event: 'discovered', changes },
          `sources have changed what they name: ${changes.join('; ')}`,
        );
      return true;
    } catch (error) {
      this.#notBeforeMs = this.#now() + RETRY_MS;
      const text = `${changes.join('; ')} is refused: ${reasonOf(error)}`;
      for (const { group } of changed) this.#refused.set(group.key, { kind: 'refused', text });
      return false;
    }
  }

  #alarm({ key, kind: groupKind, name }: Group, watched: Watched, alarm: Alarm | undefined): void {
    const { log } = this.#options;
    const before = watched.alarm;
    const which = { [groupKind]: name };
    if (alarm === undefined) {
      if (before === undefined) return;
      watched.alarm = undefined;
      log.info(
        { event: 'discovery_well', ...which },
        `the source of the ${key} is believed again (${watched.watch.words})`,
      );
      return;
    }
    const isNew = before?.alarm.kind !== alarm.kind;
    watched.alarm = { alarm, since: isNew ? new Date().toISOString() : before.since };
    if (isNew)
      log.warn(
        { event: 'discovery_alarm', ...which, kind: alarm.kind, source: watched.watch.words },
        `the answer for the ${key} is not followed (${watched.watch.words}): ${alarm.text}`,
      );
  }
}
