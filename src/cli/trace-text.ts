/** A trace in words: a line for each step, or, of several backends, a line for each. */
import { took } from '../core/figures.js';
import { printable } from '../core/printable.js';
import { clockTime } from '../core/time.js';
import type { Step, Trace } from '../trace/step.js';
import { aligned } from './format.js';
import type { TraceResult } from './trace.js';

const MARKS: Readonly<Record<Step['state'], string>> = {
  ok: 'ok',
  note: 'note',
  unknown: '?',
  failed: 'FAILED',
};
const TEXT_CHARS_MAX = 2_000;

export function drawTraces(result: TraceResult): string {
  const { node, at, generation, engine, protocol, client, vip, probedFrom, traces } = result;
  const flow = client === null ? vip : `${client} -> ${vip}`;
  const head = `${printable(node)} at ${clockTime(at)}, engine ${printable(engine)}, generation ${generation}: ${protocol} ${flow}`;
  const [only] = traces;
  const lines = traces.length === 1 ? stepLines(only.steps) : backendLines(traces);
  const foot = `The probes come from ${probedFrom}, an address of this node. Which node a router's ECMP picks for a client is not traced.`;
  return `${[head, '', ...lines, '', foot].join('\n')}\n`;
}

function stepLines(steps: readonly Step[]): string[] {
  const width = Math.max(...steps.map(({ step }) => step.length));
  return steps.flatMap(({ step, state, text, mend }) => [
    `${MARKS[state].padEnd(6)}  ${step.replace('_', ' ').padEnd(width)}  ${printable(text, TEXT_CHARS_MAX)}`,
    ...(mend === undefined ? [] : [`${' '.repeat(10 + width)}-> ${printable(mend, TEXT_CHARS_MAX)}`]),
  ]);
}

function backendLines(traces: readonly Trace[]): string[] {
  const rows = traces.map(({ backend, steps, ok }) => {
    const answer = steps.find(({ step }) => step === 'answer')?.facts?.['ms'];
    const arrives = steps.find(({ step }) => step === 'mtu')?.facts?.['arrives'];
    const said = steps.find(({ state }) => state === 'failed') ?? steps.find(({ state }) => state !== 'ok');
    return [
      ok ? 'ok' : 'FAILED',
      backend ?? '-',
      typeof answer === 'number' ? took(answer) : '-',
      typeof arrives === 'number' ? String(arrives) : '-',
      said === undefined ? '' : `${said.step.replace('_', ' ')}: ${said.text}`,
    ];
  });
  return aligned([['', 'BACKEND', 'ANSWER', 'MTU', ''], ...rows]);
}
