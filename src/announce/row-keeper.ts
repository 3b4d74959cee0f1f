/**
 * Keeps the rows of one table as they should be: after every decision, and once a second against those who change them behind our back.
 * A row that another program has in its place is tried again as often, and whether one comes before ours is looked at then.
 */
import { ANNOUNCE_LOOK_MS } from '../core/limits.js';
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { HidingRows } from './hiding-rows.js';
import { changeRows, planRows, type RefusedChange, type Row, type RowChange, readRows } from './rows.js';

const NONE: ReadonlyMap<string, string> = new Map();
const NONE_LEFT: ReadonlyMap<string, LeftRow> = new Map();

/** A row that the kernel has not deleted. */
export interface LeftRow {
  readonly metric: number;
  /** Why, in words. */
  readonly reason: string;
}

/** The kernel's table, or a test's. */
export interface RowTable {
  /** The same array again when nothing has changed since the last time. */
  read(): readonly Row[];
  change: (changes: Parameters<typeof changeRows>[1]) => ReturnType<typeof changeRows>;
  /** By VIP, what comes before a row of ours: the same map again when nothing has changed. */
  hiding(rows: readonly Row[]): ReadonlyMap<string, string>;
}

/** @param table its number */
export function kernelTable(table: number): RowTable {
  const others = new HidingRows(table);
  return {
    read: () => readRows(table),
    change: (changes) => changeRows(table, changes),
    hiding: (rows) => others.find(rows),
  };
}

export class RowKeeper {
  readonly #table: RowTable;
  readonly #log: Logger;
  readonly #changed: () => void;
  readonly #timer: NodeJS.Timeout;
  #wanted: readonly Row[] = [];
  /** Rows that were there when it was last looked. */
  #present: ReadonlyMap<string, Row> = new Map();
  /** What was read when there was nothing to change. */
  #settled: readonly Row[] | undefined;
  #refused = NONE;
  #left = NONE_LEFT;
  #hidden = NONE;
  #refusals = NONE;
  #complaint: string | undefined;

  /** @param changed called when what is refused has changed without having been asked for */
  constructor(table: RowTable, log: Logger, changed: () => void) {
    this.#table = table;
    this.#log = log;
    this.#changed = changed;
    this.#timer = setInterval(() => this.#look(), ANNOUNCE_LOOK_MS);
  }

  /** Why routers do not learn of a VIP that should have a row, by VIP. */
  get refusals(): ReadonlyMap<string, string> {
    return this.#refusals;
  }

  /** Rows that are still there and should have gone, by VIP: of several the one that routers go by. */
  get left(): ReadonlyMap<string, LeftRow> {
    return this.#left;
  }

  /** @param wanted one a VIP at most; all others of ours go */
  keep(wanted: readonly Row[]): void {
    this.#wanted = wanted;
    this.#bringAbout(false);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const [refusals, left] = [this.#refusals, this.#left];
    this.#bringAbout(true);
    this.#lookAtOthers();
    if (!isSame(refusals, this.#refusals) || !isSame(reasonsOf(left), reasonsOf(this.#left))) this.#changed();
  }

  #bringAbout(isLook: boolean): void {
    let changes: readonly RowChange[] = [];
    try {
      const found = this.#table.read();
      if (isLook && found === this.#settled) return;
      changes = planRows(this.#wanted, found);
      this.#settled = changes.length === 0 ? found : undefined;
      const refused = changes.length === 0 ? [] : this.#table.change(changes);
      if (isLook) this.#tellRestored(changes);
      this.#setFailed(refused);
      this.#complain(refused.find(({ taken }) => !taken)?.reason);
    } catch (error) {
      // Who could not be asked is asked again in a second; until then nothing that was to change counts as changed.
      const reason = reasonOf(error);
      const undone = changes.length > 0 ? changes : this.#undone();
      this.#setFailed(undone.map((change) => ({ change, reason })));
      this.#complain(reason);
    }
    const present = this.#wanted.filter(({ vip }) => !this.#refused.has(vip.text));
    this.#present = new Map([
      ...[...this.#present].filter(([vip]) => this.#left.has(vip)),
      ...present.map((row) => [row.vip.text, row] as const),
    ]);
  }

  /** What is to change, against what was there last, while the table cannot be read. */
  #undone(): RowChange[] {
    return planRows(this.#wanted, [...this.#present.values()]);
  }

  #setFailed(failed: readonly Pick<RefusedChange, 'change' | 'reason'>[]): void {
    const refused = failed.filter(({ change }) => change.what === 'add');
    const left = failed.filter(({ change }) => change.what === 'delete');
    this.#refused =
      refused.length === 0 ? NONE : new Map(refused.map(({ change, reason }) => [change.vip.text, reason]));
    this.#left =
      left.length === 0
        ? NONE_LEFT
        : new Map(
            left
              .toSorted((a, b) => b.change.metric - a.change.metric)
              .map(({ change, reason }) => [change.vip.text, { metric: change.metric, reason }]),
          );
    this.#setRefusals();
  }

  /** Takes no time of a change: rows of others have been there for longer than a second. */
  #lookAtOthers(): void {
    try {
      this.#hidden = this.#table.hiding(this.#wanted);
    } catch {
      return; // that the table cannot be read is said above
    }
    this.#setRefusals();
  }

  #tellRestored(changes: readonly RowChange[]): void {
    const lost = changes.filter(({ what, vip }) => what === 'add' && this.#present.has(vip.text));
    // Not those that the kernel has not let go of before.
    const strange = changes.filter(({ what, vip }) => what === 'delete' && !this.#left.has(vip.text));
    if (lost.length > 0) {
      const vips = lost.map(({ vip }) => vip.text);
      const message = `another program has removed the ${vips.length === 1 ? 'row' : 'rows'} of ${listed(vips)}; put back`;
      this.#log.warn({ event: 'row_restored', vips }, message);
    }
    if (strange.length > 0) {
      const vips = strange.map(({ vip }) => vip.text);
      const message = `another program has made rows like those of this one, which are not to be there; removed: ${listed(vips)}`;
      this.#log.warn({ event: 'row_removed', vips }, message);
    }
  }

  #setRefusals(): void {
    const now = this.#hidden.size === 0 ? this.#refused : new Map([...this.#hidden, ...this.#refused]);
    const fresh = [...now].filter(([vip, reason]) => this.#refusals.get(vip) !== reason);
    if (fresh.length > 0) {
      const vips = fresh.map(([vip]) => vip);
      const [[, reason] = ['', '']] = fresh;
      this.#log.warn(
        { event: 'row_refused', vips, reason },
        `${listed(vips)} cannot be announced: ${reason}`,
      );
    }
    this.#refusals = now;
  }

  #complain(why: string | undefined): void {
    if (why === this.#complaint) return;
    this.#complaint = why;
    if (why !== undefined)
      this.#log.error(
        { event: 'rows_unknown', why },
        `rows cannot be kept as they should be: ${why}; tried again`,
      );
  }
}

function reasonsOf(left: ReadonlyMap<string, LeftRow>): ReadonlyMap<string, string> {
  return new Map([...left].map(([vip, { reason }]) => [vip, reason]));
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([vip, reason]) => b.get(vip) === reason);
}
