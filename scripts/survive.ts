/**
 * `make survive`: a fleet in network namespaces, a thousand TCP connections through it, and all that is allowed to happen to
 * such a fleet. Every answer on every connection is checked. Ends with one line that says how many broke; the exit code is 0
 * only if none did but those of the backend that was made to crash.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { EngineChoice } from '#anyhop/config/types.js';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { AnyhopError, EXIT } from '#anyhop/core/errors.js';
import { loadCharts } from '#anyhop/sim/plot.js';
import { runInLab } from './lab/main.js';
import { VIP4, VIP6 } from './lab/topology.js';
import { eventsOf } from './survive/events.js';
import { Fleet, FORWARDERS } from './survive/fleet.js';
import { judge, type Witnessed } from './survive/judge.js';
import { makeNextBuild } from './survive/next-build.js';
import { play } from './survive/play.js';
import { shortcomings } from './survive/proof.js';
import { passed, reportText, summary } from './survive/report.js';
import { type CountedPackets, RouterWitness } from './survive/router.js';
import { COLOURS, drawTimeline, rateOf, trafficCurves } from './survive/timeline.js';
import { SERVICE_PORT, Traffic } from './survive/traffic.js';

const HELP = `usage: node build/scripts/survive.js [options]

Holds TCP connections through a fleet of three forwarders and five backends, in network namespaces, while backends are drained,
added, removed, weighted, fail their checks and crash, two at a time, and forwarders are killed, lost, and upgraded. Broken is a
connection that is reset, ends, gets a wrong answer, or none for 10 seconds. Needs root; everything is removed in the end.

  --short                  fewer connections and events: a minute instead of two
  --second-chance on|off   off shows what second chance is for: connections break (default: on)
  --engines E,E,E          of the three forwarders, out of ${NODE_ENGINES.join(', ')} (default: xdp,xdp,af_xdp)
  --svg FILE               draw the run (needs the npm package echarts)
  --json                   print one JSON object instead of text
  --help

Exit codes: 0 nothing broke but what a crashed backend takes along, 1 something did, or the run proves less than it should and says
why, 2 wrong usage, 3 the machine lacks something.
`;

const FORMS = {
  full: { held: 1_000, shortsPerSecond: 50, answersPerSecond: 2, settleSeconds: 5 },
  // Beside other tests the client may be late.
  short: { held: 200, shortsPerSecond: 20, answersPerSecond: 1, settleSeconds: 5 },
} as const;
/** Before the first event, for comparison. */
const CALM_MS = 1_500;

interface Options {
  readonly form: keyof typeof FORMS;
  readonly secondChance: 'on' | 'off';
  readonly engines: readonly EngineChoice[];
  readonly svg: string | undefined;
  readonly json: boolean;
}

if (process.argv.includes('--help')) process.stdout.write(HELP);
else await runInLab('survive', survive);

async function survive(): Promise<number> {
  const options = optionsFrom(process.argv.slice(2));
  if (options.svg !== undefined) await loadCharts(); // or it fails after all is done
  const say = (line: string): void => {
    if (!options.json) console.log(line);
  };
  const form = FORMS[options.form];
  say(
    `starting ${FORWARDERS} forwarders (${options.engines.join(', ')}), second chance ${options.secondChance}`,
  );
  const fleet = await Fleet.start({ ...options, settleSeconds: form.settleSeconds });
  let witnessed: Witnessed & { secondHopsOverTime: CountedPackets[] };
  try {
    witnessed = await run(fleet, options, say);
  } finally {
    await fleet.close();
  }
  const verdict = judge(witnessed);
  const { engines, secondChance, svg } = options;
  const lacks = shortcomings(verdict, { ...form, secondChance: secondChance === 'on' });
  if (svg !== undefined) {
    const { startMs, samples, secondHopsOverTime } = witnessed;
    const sentOn = secondHopsOverTime.map(({ atMs, packets }) => ({ atMs, total: packets }));
    const curves = [
      ...trafficCurves(startMs, samples),
      {
        name: 'packets a second that backends send on to the backend of the second chance',
        colour: COLOURS.pink,
        points: rateOf(startMs, sentOn),
      },
    ];
    writeFileSync(svg, await drawTimeline({ title: summary(verdict), events: verdict.events, curves }));
    say(`\nthe picture is in ${svg}`);
  }
  say('');
  console.log(
    options.json
      ? JSON.stringify({
          engines,
          secondChance,
          passed: passed(verdict, lacks),
          shortcomings: lacks,
          ...verdict,
        })
      : reportText(verdict, lacks),
  );
  return passed(verdict, lacks) ? EXIT.ok : EXIT.failure;
}

/** The traffic, and all events in it. */
async function run(
  fleet: Fleet,
  { form, engines }: Options,
  say: (line: string) => void,
): Promise<Witnessed & { secondHopsOverTime: CountedPackets[] }> {
  const { lab } = fleet;
  const names = (hosts: readonly { name: string }[]): string[] => hosts.map(({ name }) => name);
  const witness = await RouterWitness.start(lab.router, names(lab.forwarders), names(lab.backends));
  const nextBuild = makeNextBuild(join(lab.resources.directory, 'next'));
  const { held, shortsPerSecond, settleSeconds } = FORMS[form];
  const events = eventsOf({ form, nextBuild, engines, settleMs: settleSeconds * 1000 });
  const plan = { vips: { 4: VIP4, 6: VIP6 }, port: SERVICE_PORT, held, shortsPerSecond };
  const traffic = await Traffic.start(lab, plan);
  const startMs = Date.now();
  say(
    `${held} connections are open, half of them over IPv6; ${shortsPerSecond} short ones begin each second\n`,
  );
  const watch = witness.watch();
  try {
    await delay(CALM_MS);
    const played = await play(events, fleet, witness, ({ title }) => {
      const seconds = ((Date.now() - startMs) / 1000).toFixed(1).padStart(6);
      say(`${seconds} s  ${title}; ${traffic.broken} broken so far`);
    });
    await traffic.stop();
    const { samples, connections } = traffic;
    const counted = { hops: await witness.hops(), sentOn: await fleet.endAgents() };
    return { startMs, played, samples, connections, ...counted, secondHopsOverTime: watch.counted };
  } finally {
    await watch.stop();
  }
}

/** @throws AnyhopError ERR_USAGE */
function optionsFrom(args: string[]): Options {
  const usage = (message: string): AnyhopError =>
    new AnyhopError('ERR_USAGE', message, { hint: '--help tells the options.' });
  const values = parse(args, usage);
  const { 'second-chance': secondChance = 'on', engines: text = 'xdp,xdp,af_xdp' } = values;
  if (secondChance !== 'on' && secondChance !== 'off') throw usage('--second-chance is on or off');
  const engines = text.split(',').map((name) => NODE_ENGINES.find((each) => each === name));
  if (engines.length !== FORWARDERS || engines.some((engine) => engine === undefined))
    throw usage(`--engines are ${FORWARDERS} out of ${NODE_ENGINES.join(', ')}, with commas between`);
  return {
    form: values.short === true ? 'short' : 'full',
    secondChance,
    engines: engines as EngineChoice[],
    svg: values.svg,
    json: values.json === true,
  };
}

function parse(args: string[], usage: (message: string) => AnyhopError) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args,
      options: { short: flag, 'second-chance': text, engines: text, svg: text, json: flag },
    }).values;
  } catch (error) {
    throw usage((error as Error).message);
  }
}
