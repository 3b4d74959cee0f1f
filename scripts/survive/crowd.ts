/**
 * What the clients' programs have in common: they open the held connections, say so, and from then on short ones at a steady rate, and
 * tell what becomes of all of them as lines of journal.ts. On SIGTERM every connection ends in order, and then the program.
 */
import type { ConnectionRecord, JournalLine } from './journal.js';
import { Wheel } from './wheel.js';

const TICK_MS = 10;
const SAMPLE_MS = 500;
/** 500 a second: a burst of a thousand SYNs is not the subject. */
const OPENED_PER_TICK = 5;

/** A client's end of one connection. */
export interface Client {
  /** The wheel's call. @returns false when there is nothing left to do */
  turn(nowMs: number): boolean;
  /** Ends in order once nothing is due. */
  finish(): void;
}

/** Who wants to know. */
export interface Observer {
  /** @param answers so far, this one included */
  answered(tookMs: number, answers: number): void;
  ended(record: ConnectionRecord): void;
}

export type Kind = ConnectionRecord['kind'];

export interface CrowdPlan {
  /** Connections that are open throughout. */
  readonly held: number;
  readonly shortsPerSecond: number;
  /** Each connection is called on once in this time. */
  readonly turnMs: number;
  /** Opens a connection. `number` counts all of them from 0, the held ones first. */
  readonly open: (number: number, kind: Kind, observer: Observer, nowMs: number) => Client;
}

export function runCrowd(plan: CrowdPlan): void {
  const wheel = new Wheel<Client>(plan.turnMs, TICK_MS, Date.now());
  const open = new Set<Client>();
  const totals = { started: 0, answered: 0, shortsStarted: 0 };
  let since = nothing();
  let sampledMs = Date.now();
  let shortsFromMs: number | undefined;
  let stopping = false;

  process.once('SIGTERM', () => {
    stopping = true;
    for (const each of open) each.finish();
  });
  const timer = setInterval(tick, TICK_MS);
  if (plan.held === 0) opened();

  function tick(): void {
    const nowMs = Date.now();
    for (let i = 0; i < OPENED_PER_TICK && !stopping && totals.started < plan.held; i++) start('held', nowMs);
    if (shortsFromMs !== undefined && !stopping) {
      const due = ((nowMs - shortsFromMs) * plan.shortsPerSecond) / 1000;
      for (; totals.shortsStarted < due; totals.shortsStarted++) start('short', nowMs);
    }
    wheel.turn(nowMs, (each) => each.turn(nowMs));
    if (nowMs - sampledMs >= SAMPLE_MS) sample(nowMs);
    if (stopping && open.size === 0) {
      clearInterval(timer);
      sample(nowMs);
    }
  }

  function start(kind: Kind, nowMs: number): void {
    const observer: Observer = {
      answered(tookMs, answers) {
        since.answers += 1;
        since.slowestMs = Math.max(since.slowestMs, tookMs);
        if (kind === 'held' && answers === 1) firstAnswer();
      },
      ended(record) {
        open.delete(client);
        if (record.broken !== null) since.broken += 1;
        else if (kind === 'short') since.shorts += 1;
        tell(record);
      },
    };
    const client: Client = plan.open(totals.started, kind, observer, nowMs);
    totals.started += 1;
    open.add(client);
    wheel.add(client);
  }

  /** The last of the held connections to have one starts the short ones. */
  function firstAnswer(): void {
    totals.answered += 1;
    if (totals.answered === plan.held) opened();
  }

  function opened(): void {
    tell({ event: 'opened' });
    shortsFromMs = Date.now();
  }

  function sample(nowMs: number): void {
    tell({ event: 'sample', atMs: nowMs, open: open.size, ...since });
    since = nothing();
    sampledMs = nowMs;
  }
}

function nothing() {
  return { answers: 0, shorts: 0, broken: 0, slowestMs: 0 };
}

function tell(line: JournalLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
