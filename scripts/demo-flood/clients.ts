/**
 * The clients' program: `clients.js PLAN`, a ClientPlan in JSON. Opens the held connections, says so, and from then on short ones
 * at a steady rate; tells what becomes of them as lines of JSON. On SIGTERM it waits for what is due, ends the rest, and ends.
 *
 * It chooses addresses and ports itself, one after the other, even connections for IPv4 and odd ones for IPv6. No pair of address
 * and port is used twice, so none can be in TIME_WAIT.
 */
import type { JournalLine } from '../survive/journal.js';
import { Wheel } from '../survive/wheel.js';
import { HttpConnection, type HttpPlan } from './http.js';
import type { ClientPlan } from './journal.js';

const TICK_MS = 10;
const SAMPLE_MS = 500;
/** 500 a second: a burst of a thousand SYNs is not the subject. */
const OPENED_PER_TICK = 5;
const PORT_FIRST = 10_000;
const PORT_LAST = 65_535;

const plan: ClientPlan = JSON.parse(process.argv[2]!);
/** A short connection is called on as often as a held one: no matter, since it asks by itself. */
const wheel = new Wheel<HttpConnection>(plan.askEveryMs, TICK_MS, Date.now());
const open = new Set<HttpConnection>();
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
  for (let i = 0; i < OPENED_PER_TICK && !stopping && totals.started < plan.held; i++) start('held');
  if (shortsFromMs !== undefined && !stopping) {
    const due = ((nowMs - shortsFromMs) * plan.shortsPerSecond) / 1000;
    for (; totals.shortsStarted < due; totals.shortsStarted++) start('short');
  }
  wheel.turn(nowMs, (each) => each.turn(nowMs));
  if (nowMs - sampledMs >= SAMPLE_MS) sample(nowMs);
  if (stopping && open.size === 0) {
    clearInterval(timer);
    sample(nowMs);
  }
}

function start(kind: HttpPlan['kind']): void {
  const number = totals.started;
  totals.started += 1;
  const family = number % 2 === 0 ? 4 : 6;
  const addresses = plan.addresses[family];
  const localAddress = addresses[(number >> 1) % addresses.length]!;
  const localPort = PORT_FIRST + Math.floor((number >> 1) / addresses.length);
  if (localPort > PORT_LAST) throw new RangeError('the clients have used all their ports');
  const connection: HttpConnection = new HttpConnection(
    { kind, family, host: plan.vips[family], port: plan.port, localAddress, localPort },
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
