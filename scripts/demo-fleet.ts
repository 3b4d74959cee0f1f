/**
 * `make demo-fleet`: a fleet whose config comes from etcd on this machine, 500 connections at a time through it, and what an operator
 * does to it: backends join and drain, a change is taken back, a node has another build, etcd is lost and comes back older. The last
 * line says what came of it; the exit code is 0 only if nothing broke and all nodes had the same tables after each event.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AnyhopError, EXIT } from '#anyhop/core/errors.js';
import { loadCharts } from '#anyhop/sim/plot.js';
import { eventsFor, inForce } from './demo-fleet/events.js';
import { DemoFleet } from './demo-fleet/fleet.js';
import { judge, type Witnessed } from './demo-fleet/judge.js';
import type { Size } from './demo-fleet/machines.js';
import { type PlayedEvent, play } from './demo-fleet/play.js';
import { reportText, shortcomings, summary } from './demo-fleet/report.js';
import { BIRD_TOOLS } from './lab/ha/bird.js';
import { runInLab } from './lab/main.js';
import { VIP4, VIP6 } from './lab/topology.js';
import { COLOURS, drawTimeline, secondsOf, trafficCurves } from './survive/timeline.js';
import { SERVICE_PORT, Traffic } from './survive/traffic.js';

const SIZE: Size = { forwarders: 8, backends: 6 };
/** Connections that are open at a time, each of them for 2 s: less than the settle time. */
const OPEN = 500;
const [PER_SECOND, MESSAGES] = [250, 4];
const CALM_MS = 3_000;

const HELP = `usage: node build/scripts/demo-fleet.js [--forwarders N] [--backends N] [--svg FILE]

Keeps 500 connections open through a fleet whose config comes from etcd, in network namespaces, while a backend joins, another drains, a change
is taken back, a node has another build, and etcd is lost and comes back with an older snapshot. Needs root; everything is removed in
the end.

  --forwarders N   ${SIZE.forwarders} by default, 2 at least
  --backends N     ${SIZE.backends} by default, 3 at least
  --svg FILE       draw the run (needs the npm package echarts)
  --help

Exit codes: 0 nothing broke and the tables were the same everywhere, 1 otherwise, 2 wrong usage, 3 the machine lacks something.
`;

if (process.argv.includes('--help')) process.stdout.write(HELP);
else await runInLab('demo-fleet', demo, [...BIRD_TOOLS, 'etcd', 'etcdctl']);

async function demo(): Promise<number> {
  const { svg, ...size } = optionsFrom(process.argv.slice(2));
  if (svg !== undefined) await loadCharts(); // or it fails after all is done
  console.log(pictureOf(size));
  const begunMs = performance.now();
  const sinceBegun = (): string => `${((performance.now() - begunMs) / 1_000).toFixed(1)} s`;
  const fleet = await DemoFleet.start(size);
  let witnessed: Witnessed;
  try {
    console.log(`every node and agent waits for a config after ${sinceBegun()}`);
    const atMs = Date.now();
    const first = { title: 'the first config', ...inForce(await fleet.apply('first config')) };
    await fleet.announce();
    const [equal, doneMs] = [new Set((await fleet.digests()).values()).size === 1, Date.now()];
    console.log(`everything runs after ${sinceBegun()}: ${first.text}`);
    witnessed = await run(fleet, size, { ...first, atMs, doneMs, equal, fault: undefined });
    if (witnessed.played.some(({ fault }) => fault !== undefined)) console.error(fleet.tails());
  } catch (error) {
    console.error(fleet.tails());
    throw error;
  } finally {
    await fleet.close();
  }
  const verdict = judge(witnessed);
  const expected = { events: 1 + eventsFor(size).length, open: OPEN };
  if (svg !== undefined) {
    const curves = curvesOf(witnessed);
    writeFileSync(svg, await drawTimeline({ title: summary(verdict), events: verdict.events, curves }));
    console.log(`\nthe picture is in ${svg}`);
  }
  console.log(`\nall of it took ${sinceBegun()}\n\n${reportText(verdict, expected)}`);
  return shortcomings(verdict, expected).length === 0 ? EXIT.ok : EXIT.failure;
}

/** The traffic, and all events in it. */
async function run(fleet: DemoFleet, size: Size, first: PlayedEvent): Promise<Witnessed> {
  const plan = { vips: { 4: VIP4, 6: VIP6 }, port: SERVICE_PORT, held: 0 };
  const traffic = await Traffic.start(fleet.lab, {
    ...plan,
    shortsPerSecond: PER_SECOND,
    shortMessages: MESSAGES,
  });
  const startMs = Date.now();
  await delay(CALM_MS);
  console.log(`${OPEN} connections are open at any time, each for 2 s: ${PER_SECOND} begin each second\n`);
  const played = await play(eventsFor(size), fleet, (title) => {
    const seconds = ((Date.now() - startMs) / 1_000).toFixed(1).padStart(6);
    console.log(`${seconds} s  ${title}; ${traffic.broken} broken so far`);
  });
  const forwarded = await fleet.forwarded();
  await traffic.stop();
  const { connections, samples } = traffic;
  const falseDowns = fleet.falseDowns(startMs);
  return { startMs, forwarded, falseDowns, played: [first, ...played], connections, samples };
}

function curvesOf({ startMs, samples, played }: Witnessed) {
  const revisions = played.flatMap(({ revision, doneMs }) =>
    revision === undefined ? [] : [[Math.max(0, secondsOf(startMs, doneMs)), revision] as const],
  );
  const endSeconds = secondsOf(startMs, samples.at(-1)?.atMs ?? startMs);
  return [
    ...trafficCurves(startMs, samples),
    {
      name: 'slowest answer, in milliseconds',
      colour: COLOURS.orange,
      points: samples
        .filter(({ atMs }) => atMs >= startMs)
        .map(({ atMs, slowestMs }) => [secondsOf(startMs, atMs), slowestMs] as const),
    },
    {
      ...{ name: 'revision in force on all members', colour: COLOURS.pink, step: true as const },
      points: [...revisions, [endSeconds, revisions.at(-1)?.[1] ?? 0] as const],
    },
  ];
}

function pictureOf({ forwarders, backends }: Size): string {
  return `
anyhop demo-fleet: a fleet with one config, in network namespaces of this machine.

                            etcd: the config, signed by the operator
                           /    \\
            BGP, BFD   +--------------+  GRE   +-------------+
  client --> router ---| edge-1 ... ${forwarders} |------> | web-1 ... ${backends} |
      ^   BIRD, ECMP   +--------------+        +-------------+
      |          anyhop run, announce, BIRD     anyhop agent, server
      +---------------------------------------- the answer goes straight back
`;
}

/** @throws AnyhopError ERR_USAGE */
function optionsFrom(args: string[]): Size & { svg: string | undefined } {
  const options = {
    forwarders: { type: 'string', default: `${SIZE.forwarders}` },
    backends: { type: 'string', default: `${SIZE.backends}` },
    svg: { type: 'string' },
  } as const;
  const wrong = (message: string): AnyhopError =>
    new AnyhopError('ERR_USAGE', message, { hint: '--help tells the options.' });
  const count = (text: string, least: number, what: string): number => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least && number <= 99) return number;
    throw wrong(`--${what} ${text}: expected a whole number, ${least} to 99`);
  };
  try {
    const { forwarders, backends, svg } = parseArgs({ args, options }).values;
    return { forwarders: count(forwarders, 2, 'forwarders'), backends: count(backends, 3, 'backends'), svg };
  } catch (error) {
    throw error instanceof AnyhopError ? error : wrong((error as Error).message);
  }
}
