/**
 * The step `second_chance`: an ACK of no connection, in the headers of the flow. Each agent of its key has no socket for it and sends it on;
 * the last one delivers it, and its host resets it. So the whole way of a connection that an alternate has is walked.
 */
import { ProbeRefused } from '../agent/probe.js';
import type { TracedBackend, TraceReport } from '../api/trace.js';
import { took } from '../core/figures.js';
import { AGENT_VERDICTS } from '../core/layout.gen.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import type { Way } from './decide.js';
import { cameIn, countedOf } from './host.js';
import type { Prober } from './prober.js';
import type { Step } from './step.js';
import { sendWatched, type Told } from './watched.js';

const MEANINGS = new Map(AGENT_VERDICTS.map(({ name, description }) => [name, description]));

/** @returns undefined when the flow has no alternates */
export async function secondChanceStep(
  { answer, backends, agentPort }: TraceReport,
  { backend, outer }: Way,
  prober: Prober,
  vip: Endpoint,
  waitMs: number,
): Promise<Step | undefined> {
  const names = answer.key?.backends ?? [];
  if (outer.key === undefined || answer.owner !== backend.name || names.length === 0) return undefined;
  const way = [backend.name, ...names].flatMap((name) => backends.find((each) => each.name === name) ?? []);
  const port = prober.nextPort();
  const question = { protocol: 'tcp', client: { address: prober.client, port }, vip } as const;
  const watched = way.filter(({ hasAgent }) => hasAgent);
  const watchers = watched.map(({ address }) => ({ address, port: agentPort }));
  const { reply, told } = await sendWatched(watchers, question, () =>
    prober.send({ outer, vip, protocol: 'tcp', flags: P.TCP_ACK, port, waitMs, againMs: waitMs / 2 }),
  );
  const reports = new Map(watched.map(({ name }, i) => [name, told[i]]));
  return judge(way, reports, reply.kind === 'answer' ? reply.ms : undefined);
}

function judge(
  way: readonly TracedBackend[],
  told: ReadonlyMap<string, Told | undefined>,
  ms: number | undefined,
): Step {
  const step = 'second_chance';
  const names = way.map(({ name }) => name);
  const what = 'a packet of no connection';
  const end = names.find((name) => {
    const report = told.get(name);
    return report !== undefined && !(report instanceof ProbeRefused) && cameIn(report);
  });
  const facts = { way: names, end: end ?? null, ms: ms ?? null };
  const last = names.at(-1);
  if (ms !== undefined && (end === last || (end === undefined && !isSeenBy(told.get(last!)))))
    return {
      step,
      state: 'ok',
      text: `${what} goes ${names.join(' -> ')}, whose host resets it: after ${took(ms)}`,
      facts,
    };
  const { at, why, mend } = lossOf(names, told, end);
  return {
    step,
    // What is wrong at another backend is that one's failure: new connections of this flow are well.
    state: at === names[0] ? 'failed' : 'note',
    text: `${what} should go ${names.join(' -> ')}, and ${why}`,
    mend,
    facts: { ...facts, lostAt: at },
  };
}

interface Loss {
  readonly at: string;
  readonly why: string;
  readonly mend: string;
}

/** Where a packet was lost that should have gone this way. @param end who delivered it; undefined when nobody was seen to */
function lossOf(
  names: readonly string[],
  told: ReadonlyMap<string, Told | undefined>,
  end: string | undefined,
): Loss {
  if (end !== undefined && end !== names.at(-1))
    return {
      at: end,
      why: `ends at ${end}, whose agent does not send it on`,
      mend: `on ${end}: does its agent have the node's config, with second_chance on for this service?`,
    };
  const reports = names.map((name) => told.get(name));
  for (const [i, at] of names.entries()) {
    const report = reports[i];
    if (report === undefined || report instanceof ProbeRefused) continue;
    const [drop] = countedOf(report, 'drop');
    if (drop === undefined) continue;
    const meaning = MEANINGS.get(drop[0]) ?? 'of another version';
    return {
      at,
      why: `meanwhile ${at} counted ${drop[0]}: ${meaning}`,
      mend: `on ${at}: anyhop agent --status`,
    };
  }
  const i = reports.findIndex(
    (report) =>
      report === undefined || report instanceof ProbeRefused || countedOf(report, 'send').length === 0,
  );
  const at = names[i] ?? names.at(-1)!;
  const report = reports[i];
  const why = report instanceof ProbeRefused ? `: ${report.message}` : '';
  return { at, why: `is lost at ${at}${why}`, mend: `anyhop trace VIP:PORT --backend ${at}` };
}

function isSeenBy(told: Told | undefined): boolean {
  return told !== undefined && !(told instanceof ProbeRefused) && told.seen !== null;
}
