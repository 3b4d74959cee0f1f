/**
 * `make demo-ha`: a fleet with routing daemons on this machine, long connections and new ones through it, and what its daemons, nodes
 * and links go through. It shows for each event when the router knew, and what was lost. The last line says what came of it; the exit
 * code is 0 only if nothing broke and the router's table did what it should.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AnyhopError, EXIT } from '#anyhop/core/errors.js';
import { loadCharts } from '#anyhop/sim/plot.js';
import { EVENTS } from './demo-ha/events.js';
import { HaFleet } from './demo-ha/fleet.js';
import { judge, type Witnessed } from './demo-ha/judge.js';
import { FORWARDERS, PAIR_VIPS } from './demo-ha/machines.js';
import { play } from './demo-ha/play.js';
import { reportText, shortcomings, summary } from './demo-ha/report.js';
import { BIRD_TOOLS } from './lab/ha/bird.js';
import { KEEPALIVED_TOOLS } from './lab/ha/keepalived.js';
import { runInLab } from './lab/main.js';
import { VIP4, VIP6 } from './lab/topology.js';
import { COLOURS, type Curve, drawTimeline, inOne, secondsOf, trafficCurves } from './survive/timeline.js';
import { SERVICE_PORT, Traffic } from './survive/traffic.js';

const PICTURE = `
anyhop demo-ha: a fleet with routing daemons, in network namespaces of this machine.

                          +--> edge-1 --+
              BGP, BFD    |             |  GRE   +--> web-1, web-2, web-3
  client --> router ------+--> edge-2 --+------> |    anyhop agent, server
      ^   BIRD, ECMP      |             |        |
      |                   +--> edge-3 --+        |
      |               anyhop run, anyhop announce, BIRD
      +----------------------------------------- + the answer goes straight back

The router spreads ${VIP4} and ${VIP6} over the forwarders whose BIRD announces them. It routes ${PAIR_VIPS[4]}
and ${PAIR_VIPS[6]} to a gateway that keepalived holds on edge-1 or edge-2.
`;

/** Connections that are open throughout. */
const HELD = { fleet: 500, pair: 100 };
const SHORTS_PER_SECOND = { fleet: 50, pair: 10 };
const CALM_MS = 1_500;

const HELP = `usage: node build/scripts/demo-ha.js [--svg FILE]

Holds connections through three forwarders that BIRD announces to a router, and a pair of them that keepalived moves a gateway
between, in network namespaces, while nodes leave, programs are killed, BIRD hangs, a link goes down and all checks fail. Needs
root; everything is removed in the end.

  --svg FILE   draw the run (needs the npm package echarts)
  --help

Exit codes: 0 nothing broke and the router's table did what it should, 1 otherwise, 2 wrong usage, 3 the machine lacks something.
`;

if (process.argv.includes('--help')) process.stdout.write(HELP);
else await runInLab('demo-ha', demo, [...BIRD_TOOLS, ...KEEPALIVED_TOOLS]);

async function demo(): Promise<number> {
  const svg = svgFrom(process.argv.slice(2));
  if (svg !== undefined) await loadCharts(); // or it fails after all is done
  console.log(PICTURE);
  const begunMs = performance.now();
  const fleet = await HaFleet.start();
  console.log(`everything runs after ${((performance.now() - begunMs) / 1_000).toFixed(1)} s`);
  let witnessed: Witnessed;
  try {
    witnessed = await run(fleet);
  } catch (error) {
    console.error(fleet.tails());
    throw error;
  } finally {
    await fleet.close();
  }
  const verdict = judge(witnessed);
  const expected = { held: HELD.fleet + HELD.pair };
  if (svg !== undefined) {
    writeFileSync(
      svg,
      await drawTimeline({ title: summary(verdict), events: verdict.events, curves: curvesOf(witnessed) }),
    );
    console.log(`\nthe picture is in ${svg}`);
  }
  console.log(`\n${reportText(verdict, expected)}`);
  return shortcomings(verdict, expected).length === 0 ? EXIT.ok : EXIT.failure;
}

function curvesOf({ startMs, rows, samples }: Witnessed): Curve[] {
  const widths = rows.filter(({ destination, atMs }) => destination === VIP4 && atMs >= startMs);
  const points = widths.map(({ atMs, hops }) => [secondsOf(startMs, atMs), hops.length] as const);
  const endSeconds = secondsOf(startMs, samples.at(-1)?.atMs ?? startMs);
  const name = `forwarders that the router sends packets for ${VIP4} to`;
  return [
    ...trafficCurves(startMs, samples),
    {
      name: 'slowest answer, in milliseconds',
      colour: COLOURS.orange,
      points: samples.map(({ atMs, slowestMs }) => [secondsOf(startMs, atMs), slowestMs]),
    },
    {
      ...{ name, colour: COLOURS.pink, step: true },
      points: [[0, FORWARDERS], ...points, [endSeconds, points.at(-1)?.[1] ?? FORWARDERS]],
    },
  ];
}

/** The traffic, and all events in it. */
async function run(fleet: HaFleet): Promise<Witnessed> {
  const plans = [
    { vips: { 4: VIP4, 6: VIP6 }, held: HELD.fleet, shortsPerSecond: SHORTS_PER_SECOND.fleet },
    { vips: PAIR_VIPS, held: HELD.pair, shortsPerSecond: SHORTS_PER_SECOND.pair },
  ];
  const traffics = await Promise.all(
    plans.map((plan) => Traffic.start(fleet.lab, { ...plan, port: SERVICE_PORT })),
  );
  const startMs = Date.now();
  const { fleet: spread, pair } = HELD;
  console.log(
    `${spread} connections are open to the fleet and ${pair} to the pair; new ones begin all the time\n`,
  );
  await delay(CALM_MS);
  const played = await play(EVENTS, fleet, ({ title }) => {
    const seconds = ((Date.now() - startMs) / 1_000).toFixed(1).padStart(6);
    const broken = traffics.reduce((sum, traffic) => sum + traffic.broken, 0);
    console.log(`${seconds} s  ${title}; ${broken} broken so far`);
  });
  const forwarded = await fleet.forwarded();
  await Promise.all(traffics.map((traffic) => traffic.stop()));
  return {
    startMs,
    forwarded,
    played,
    rows: fleet.fib.rows.map((row) => ({ ...row, hops: fleet.namesOf(row.hops) })),
    connections: traffics.flatMap(({ connections }) => connections),
    samples: inOne(
      startMs,
      traffics.map(({ samples }) => samples),
    ),
  };
}

/** @throws AnyhopError ERR_USAGE */
function svgFrom(args: string[]): string | undefined {
  try {
    return parseArgs({ args, options: { svg: { type: 'string' } } }).values.svg;
  } catch (error) {
    throw new AnyhopError('ERR_USAGE', (error as Error).message, { hint: '--help tells the options.' });
  }
}
