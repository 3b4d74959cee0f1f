/** What a browser did for each update of the dashboard, by its own trace. */

/** An event of a trace, as Chromium writes it: times in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  /** The same of the thread's own time. */
  readonly tts?: number;
  readonly tdur?: number;
}

/** Scripting, with what V8 does for it, and style and layout. Painting is others' work, and not on this thread for the most part. */
const WORK: ReadonlySet<string> = new Set([
  'EventDispatch',
  'FunctionCall',
  'EvaluateScript',
  'TimerFire',
  'FireAnimationFrame',
  'RunMicrotasks',
  'MinorGC',
  'MajorGC',
  'UpdateLayoutTree',
  'Layout',
]);
export const CATEGORIES = ['devtools.timeline', 'blink.user_timing', 'v8', 'disabled-by-default-v8.gc'];
/** The message of an update is read before the page marks its beginning. */
const LEAD_US = 50_000;

export interface Work {
  /** On the clock: with what else the machine did meanwhile. */
  readonly wallMs: number;
  /** Of the processor, for this thread. */
  readonly processorMs: number;
}

/** Work on the page's main thread for each update, from its message to that of the next. */
export function workPerUpdate(trace: Buffer): Work[] {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] };
  const marks = traceEvents
    .filter(({ name }) => name === 'anyhop update begins')
    .sort((one, other) => one.ts - other.ts);
  const [first] = marks;
  if (first === undefined) return [];
  const work = traceEvents
    .filter(
      ({ name, ph, pid, tid }) => ph === 'X' && WORK.has(name) && pid === first.pid && tid === first.tid,
    )
    .sort((one, other) => one.ts - other.ts);
  return marks.slice(0, -1).map((mark, index) => {
    const from = mark.ts - LEAD_US;
    const to = marks[index + 1]!.ts - LEAD_US;
    const own = work.filter(({ ts }) => ts >= from && ts < to);
    return {
      wallMs: unionOf(own.map(({ ts, dur = 0 }) => [ts, dur])),
      processorMs: unionOf(own.map(({ tts = 0, tdur = 0 }) => [tts, tdur])),
    };
  });
}

/** Milliseconds. Events within others count once. @param spans beginnings and lengths in microseconds, by their beginnings */
function unionOf(spans: readonly (readonly [from: number, length: number])[]): number {
  let total = 0;
  let end = Number.NEGATIVE_INFINITY;
  for (const [from, length] of spans) {
    if (from + length <= end) continue;
    total += from + length - Math.max(from, end);
    end = from + length;
  }
  return total / 1000;
}
