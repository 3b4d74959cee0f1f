/**
 * Connects what is heard of the node, what the kernel says of an orphan, the decision, and the rows.
 *
 *   the node's stream --> knowledge --+                 +--> rows of the kernel's table
 *   an operator's word --> knowledge -+--> decide() ----+--> log, followers, status
 *   the kernel (of an orphan) --------+                 +--> what is kept
 *
 * Everything runs in one turn of the event loop, from an event to the rows.
 */
import type { AnnounceConfig, AnnouncePlace } from '../config/announce/types.js';
import { monotonicMs } from '../core/clock.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { type Decision, decide, type Mark, type Marks, needsKernel, nextMs, type Rules } from './decide.js';
import { Keeper, type Kept } from './kept.js';
import {
  begin,
  type Forwarding,
  hear,
  hearAgain,
  holdBack,
  type Knowledge,
  loseNode,
  orphanSince,
  resume,
} from './knowledge.js';
import { logMarks } from './mark-log.js';
import { NodeStream } from './node-stream.js';
import { OrphanWatch } from './orphan-watch.js';
import { networkNamespace } from './place.js';
import { RowKeeper, type RowTable } from './row-keeper.js';
import type { Row } from './rows.js';
import type { AnnounceStatus, Follower, HeldBy } from './status.js';
import { statusOf } from './status-of.js';

export interface AnnouncerOptions {
  readonly config: AnnounceConfig;
  readonly place: AnnouncePlace;
  readonly log: Logger;
  readonly table: RowTable;
  readonly kept: Kept | undefined;
  readonly followers: readonly Follower[];
}

export class Announcer {
  readonly #place: AnnouncePlace;
  readonly #log: Logger;
  readonly #followers: readonly Follower[];
  readonly #startedAt = new Date().toISOString();
  readonly #namespace = networkNamespace();
  readonly #rows: RowKeeper;
  readonly #keeper: Keeper;
  readonly #stream: NodeStream;
  #config: AnnounceConfig;
  #known: Knowledge;
  #decision: Decision;
  #wanted = '';
  #watch: { readonly key: string; readonly orphan: OrphanWatch; program: number | undefined } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #told = '';
  #passedOn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** Adopts the rows that are there. @throws AnyhopError when the kernel's table cannot be read */
  constructor({ config, place, log, table, kept, followers }: AnnouncerOptions) {
    this.#config = config;
    this.#place = place;
    this.#log = log;
    this.#followers = followers;
    const nowMs = monotonicMs();
    this.#known = begin(nowMs, kept);
    this.#decision = { marks: this.#adopt(table.read(), nowMs), heard: 'asked' };
    this.#keeper = new Keeper(place.socket, log);
    this.#rows = new RowKeeper(table, log, () => this.#tell());
    this.#decide();
    this.#stream = new NodeStream(place.nodeSocket, {
      heard: (line) => this.#learn(hear(this.#known, line, monotonicMs(), Date.now())),
      // Nothing is new but that it lives: the timer of its silence looks at this.
      heardAgain: () => {
        const isSilent = this.#decision.heard === 'silent';
        this.#known = hearAgain(this.#known, monotonicMs());
        if (isSilent) this.#decide();
      },
      lost: (why) => this.#learn(loseNode(this.#known, why, monotonicMs())),
    });
  }

  /** What is known of the node and of the kernel, as decided last. */
  status(): AnnounceStatus {
    return statusOf({
      config: this.#config,
      node: this.#place.node,
      networkNamespace: this.#namespace,
      startedAt: this.#startedAt,
      known: this.#known,
      decision: this.#decision,
      refusals: this.#rows.refusals,
      left: this.#rows.left,
      nowMs: monotonicMs(),
      wallMs: Date.now(),
    });
  }

  /** Takes all rows away. Resolves when they are gone, and the next process knows of it. */
  async hold(by: HeldBy): Promise<AnnounceStatus> {
    this.#learn(holdBack(this.#known, by, monotonicMs()));
    // Also those who take a moment: the caller may end the forwarding next.
    await Promise.all([this.#keeper.idle(), this.#passedOn]);
    return this.status();
  }

  async resume(): Promise<AnnounceStatus> {
    this.#learn(resume(this.#known));
    await this.#keeper.idle();
    return this.status();
  }

  /** Another config is in force, of the same table. */
  reconfigure(config: AnnounceConfig): void {
    this.#config = config;
    this.#decide();
  }

  /** Rows stay. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#stream.close();
    this.#rows.close();
    await Promise.all([this.#watch?.orphan.close(), this.#keeper.idle()]);
  }

  #learn(known: Knowledge): void {
    const before = this.#known;
    this.#known = known;
    const isAnnounced = [...this.#decision.marks.values()].some(({ state }) => state !== 'withdrawn');
    if (isAnnounced && known.orphanMs !== undefined && before.orphanMs === undefined) this.#logOrphan();
    this.#decide();
  }

  #decide(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    const nowMs = monotonicMs();
    const before = this.#decision;
    this.#watchOrphan();
    this.#decision = decide(this.#rules(), this.#known, this.#watch?.orphan.facts(), before.marks, nowMs);
    this.#keepRows();
    logMarks(before.marks, this.#decision.marks, this.#log);
    const { table } = this.#config;
    const { stop, forwarding, hold } = this.#known;
    const orphanMs = this.#decision.heard === 'silent' ? orphanSince(this.#known) : this.#known.orphanMs;
    void this.#keeper.keep({
      table,
      namespace: this.#namespace,
      ...(stop && { stop }),
      ...(forwarding && { forwarding }),
      ...(orphanMs !== undefined && { orphanMs }),
      ...(hold && { hold }),
    });
    const isOther = before.heard !== this.#decision.heard;
    if (isOther) this.#watchOrphan();
    this.#tell();
    this.#wait();
  }

  /** Decides again when time alone changes something. */
  #wait(): void {
    const dueMs = nextMs(this.#known, this.#decision);
    if (dueMs === undefined) return;
    this.#timer = setTimeout(
      // What has come meanwhile is read first: this process may have been stopped, not the node.
      () => setImmediate(() => this.#due()),
      Math.max(Math.ceil(dueMs - monotonicMs()), 0),
    );
  }

  #due(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    // Lines that say nothing new have moved it meanwhile.
    if ((nextMs(this.#known, this.#decision) ?? 0) <= monotonicMs()) this.#decide();
    else this.#wait();
  }

  #rules(): Rules {
    const { vips, orphanMs, riseMs, withdrawWhen } = this.#config;
    return { vips: vips.map(({ text }) => text), orphanMs, riseMs, withdrawWhen };
  }

  /** What rows say of the process that made them. */
  #adopt(rows: readonly Row[], nowMs: number): Marks {
    const marks = new Map<string, Mark>();
    for (const { vip, metric } of rows) {
      // Of two rows, one was about to go: the second choice loses nothing.
      const isDraining = metric === this.#config.drainMetric || marks.get(vip.text)?.state === 'draining';
      marks.set(vip.text, { state: isDraining ? 'draining' : 'announced', reason: 'found', sinceMs: nowMs });
    }
    if (marks.size > 0) {
      const count = marks.size === 1 ? '1 row' : `${marks.size} rows`;
      const message = `found ${count} of a former process in table ${this.#config.table}; what the node says decides`;
      this.#log.info({ event: 'rows_adopted', rows: marks.size }, message);
    }
    return marks;
  }

  #keepRows(): void {
    const { vips, metric, drainMetric } = this.#config;
    const wanted: Row[] = [];
    for (const vip of vips) {
      const state = this.#decision.marks.get(vip.text)?.state ?? 'withdrawn';
      if (state !== 'withdrawn') wanted.push({ vip, metric: state === 'draining' ? drainMetric : metric });
    }
    const key = wanted.map(({ vip, metric: of }) => `${vip.text} ${of}`).join();
    if (key === this.#wanted && key !== '') return;
    this.#wanted = key;
    this.#rows.keep(wanted);
  }

  /** Asks the kernel while no process does, about what the node said last. */
  #watchOrphan(): void {
    const { forwarding } = this.#known;
    const isNeeded =
      forwarding !== undefined &&
      needsKernel(this.#decision) &&
      [...this.#decision.marks.values()].some(({ state }) => state !== 'withdrawn');
    const key = isNeeded ? watchKey(forwarding) : '';
    if (key === (this.#watch?.key ?? '')) {
      if (this.#watch === undefined || this.#watch.program === forwarding?.engine.program) return;
      // What was seen before the node said so is of the program before.
      this.#watch.program = forwarding?.engine.program;
      this.#watch.orphan.look();
      return;
    }
    void this.#watch?.orphan.close();
    this.#watch = undefined;
    if (!isNeeded) return;
    const { source4, source6 } = this.#place;
    const orphan = new OrphanWatch({
      forwarding,
      sources: { source4: source4?.address, source6: source6?.address },
      log: this.#log,
      now: monotonicMs,
      changed: () => {
        if (this.#watch?.orphan !== orphan) return;
        // Another program is probably that of the next process, which is there already.
        if (orphan.facts().program?.id !== this.#watch.program) this.#stream.again();
        this.#decide();
      },
    });
    this.#watch = { key, orphan, program: forwarding.engine.program };
  }

  #logOrphan(): void {
    const { gone, line, forwarding } = this.#known;
    const why = gone?.why ?? (line === undefined ? 'it has not been heard' : `it is ${line.phase}`);
    const fields = { event: 'orphaned' as const, why, engine: forwarding?.engine.name };
    this.#log.warn(fields, `no process of the node serves: ${why}`);
  }

  /** Tells the followers if anything is new. */
  #tell(): void {
    if (this.#followers.length === 0) return;
    const status = this.status();
    const text = JSON.stringify(status);
    if (text === this.#told) return;
    this.#told = text;
    const passed = this.#followers.map(async (follower) => {
      try {
        await follower.changed(status);
      } catch (error) {
        const why = reasonOf(error);
        this.#log.error(
          { event: 'follower_failed', why },
          `what is announced could not be passed on: ${why}`,
        );
      }
    });
    this.#passedOn = Promise.all(passed);
  }
}

/** Another watch is needed when another interface or other backends are to be watched. */
function watchKey({ engine, hops }: Forwarding): string {
  const addresses = new Set(Object.values(hops).flatMap((each) => each.map(({ address }) => address)));
  return `${engine.interface.index} ${[...addresses].sort().join()}`;
}
