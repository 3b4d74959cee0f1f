/**
 * The client's program: `client.js PLAN`, a TrafficPlan in JSON. Opens the held connections, says so, and from then on short
 * ones at a steady rate; tells what becomes of them as lines of journal.ts. On SIGTERM it closes everything in order and ends.
 *
 * It chooses the local ports, one after the other, even ones for IPv4 and odd ones for IPv6. A run needs some thousands, so
 * none is used twice and none can be in TIME_WAIT; and the name of a connection that nobody accepted is known too.
 */
import { Connection, type ConnectionPlan } from './connection.js';
import type { JournalLine } from './journal.js';
import type { TrafficPlan } from './traffic.js';
import { Wheel } from './wheel.js';

/** A message each: two and a half a second. */
const TURN_MS = 400;
const TICK_MS = 10;
const SAMPLE_MS = 500;
/** 500 a second: a burst of a thousand SYNs is not the subject. */
const OPENED_PER_TICK = 5;
const SHORT_MESSAGES_MAX = 3;
const PORT_FIRST = 20_000;
const PORT_LAST = 65_535;

const plan: TrafficPlan = JSON.parse(process.argv[2]!);
const wheel = new Wheel<Connection>(TURN_MS, TICK_MS, Date.now());
const open = new Set<Connection>();
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

function tick(): void {
  const nowMs = Date.now();
  for (let i = 0; i < OPENED_PER_TICK && !stopping && totals.started < plan.held; i++)
    start('held', Number.POSITIVE_INFINITY, nowMs);
  if (shortsFromMs !== undefined && !stopping) {
    const due = ((nowMs - shortsFromMs) * plan.shortsPerSecond) / 1000;
    for (; totals.shortsStarted < due; totals.shortsStarted++)
      start('short', 1 + (totals.shortsStarted % SHORT_MESSAGES_MAX), nowMs);
  }
  wheel.turn(nowMs, (each) => each.turn(nowMs));
  if (nowMs - sampledMs >= SAMPLE_MS) sample(nowMs);
  if (stopping && open.size === 0) {
    clearInterval(timer);
    sample(nowMs);
  }
}

function start(kind: ConnectionPlan['kind'], messages: number, nowMs: number): void {
  const family = totals.started % 2 === 0 ? 4 : 6;
  const localPort = PORT_FIRST + totals.started;
  if (localPort > PORT_LAST) throw new RangeError('the client has used all its ports');
  totals.started += 1;
  const to = { kind, family, host: plan.vips[family], port: plan.port, localPort, messages } as const;
  const connection: Connection = new Connection(
    to,
    {
      answered(tookMs, answers) {
        since.answers += 1;
        since.slowestMs = Math.max(since.slowestMs, tookMs);
        if (kind === 'held' && answers === 1) firstAnswer();
      },
      ended(record) {
        open.delete(connection);
        if (record.broken !== null) since.broken += 1;
        else if (kind === 'short') since.shorts += 1;
        tell(record);
      },
    },
    nowMs,
  );
  open.add(connection);
  wheel.add(connection);
}

/** The last of the held connections to have one starts the short ones. */
function firstAnswer(): void {
  totals.answered += 1;
  if (totals.answered < plan.held) return;
  tell({ event: 'opened' });
  shortsFromMs = Date.now();
}

function sample(nowMs: number): void {
  tell({ event: 'sample', atMs: nowMs, open: open.size, ...since });
  since = nothing();
  sampledMs = nowMs;
}

function nothing() {
  return { answers: 0, shorts: 0, broken: 0, slowestMs: 0 };
}

function tell(line: JournalLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
