/**
 * `make demo-flood`: a fleet on this machine with real clients, and floods against it: first without defence, then with it. Ends
 * with one line that says what came of the clients; the exit code is 0 only if, with the defence on, not one of their connections failed
 * and the floods ended at the forwarders.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { AnyhopError, EXIT } from '#anyhop/core/errors.js';
import { loadCharts } from '#anyhop/sim/plot.js';
import { HEAVY_SOURCE, SPOOFED_ACKS, SPOOFED_SYNS, UDP } from './demo-flood/floods.js';
import { SILENCE_MS } from './demo-flood/http.js';
import { judge, type Verdict } from './demo-flood/judge.js';
import { type PartPlan, playPart, type Witnessed } from './demo-flood/part.js';
import { drawParts } from './demo-flood/picture.js';
import { reportText, summary } from './demo-flood/report.js';
import { runInLab } from './lab/main.js';
import { VIP4, VIP6 } from './lab/topology.js';

const PICTURE = `
anyhop demo-flood: a fleet under floods, in network namespaces of this machine.

  clients ---+              +--> edge-1 --+   GRE    +--> web-1 --+
             +--> router ---|    anyhop   |--------> |    web-2   |--> router --> clients
  attacker --+      ECMP    +--> edge-2 --+          +--> web-3 --+
                                 forwarders           backends: anyhop agent, nginx

Clients hold connections to ${VIP4} and ${VIP6} and open new ones all the time, while the attacker
floods both addresses. A connection fails when it is refused, reset, ended, or not answered for ${SILENCE_MS / 1000} s.
`;

const HELP = `usage: node build/scripts/demo-flood.js [options]

Floods a small fleet in network namespaces of this machine with spoofed SYNs, spoofed ACKs, packets of one heavy source, and UDP, tens of
thousands a second, while real clients use it: first without defence, then with it. Needs root; everything is removed in the end.

  --short           fewer clients and shorter floods
  --defend on|off   only this part (default: both)
  --svg FILE        draw the run (needs the npm package echarts)
  --help

Without defence, neither anyhop nor the backends' kernels (net.ipv4.tcp_syncookies) answer SYNs with cookies: one sees what a full SYN
queue does. The kernels' own cookies would keep such a small flood off too, at many times the cost for each SYN, and on each backend.

Exit codes: 0 no connection failed with the defence on and the floods ended at the forwarders, 1 otherwise, or connections failed with
--defend off, 2 wrong usage, 3 the machine lacks something.
`;

const FORMS = {
  full: { clients: { held: 1_000, shortsPerSecond: 100, askEveryMs: 2_000 }, synSeconds: 6, otherSeconds: 3 },
  // Beside other tests.
  short: { clients: { held: 200, shortsPerSecond: 50, askEveryMs: 1_000 }, synSeconds: 3, otherSeconds: 1 },
} as const;
const DEFEND = {
  mode: 'enforce',
  source_rate: { packets: 500, syn: 100, per: '1s' },
  syn_cookies: 'auto',
};
if (process.argv.includes('--help')) process.stdout.write(HELP);
else await runInLab('demo-flood', demo);

async function demo(): Promise<number> {
  const { form, parts, svg } = optionsFrom(process.argv.slice(2));
  if (svg !== undefined) await loadCharts(); // or it fails after all is done
  console.log(PICTURE);
  const seen: Witnessed[] = [];
  let last: Verdict | undefined;
  for (const part of parts) {
    console.log(`\nDefence ${part}`);
    const witnessed = await playPart(planOf(form, part), (line) => console.log(line));
    seen.push(witnessed);
    last = judge(witnessed);
    console.log(`\n${reportText(last)}`);
  }
  const text = summary(last!);
  if (svg !== undefined) {
    writeFileSync(svg, await drawParts(text, seen));
    console.log(`\nthe picture is in ${svg}`);
  }
  console.log(`\n${text}`);
  return last!.shortcomings.length === 0 ? EXIT.ok : EXIT.failure;
}

/** Rates that two cores carry beside the clients, the fleet and the backends. */
function planOf(form: keyof typeof FORMS, part: Part): PartPlan {
  const { clients, synSeconds, otherSeconds } = FORMS[form];
  const defended = part === 'on';
  return {
    defended,
    sections: defended ? { defend: DEFEND } : {},
    clients,
    floods: [
      { flood: SPOOFED_SYNS, rate: 80_000, seconds: synSeconds },
      { flood: SPOOFED_ACKS, rate: 60_000, seconds: otherSeconds },
      { flood: HEAVY_SOURCE, rate: 60_000, seconds: otherSeconds },
      { flood: UDP, rate: 60_000, seconds: otherSeconds },
    ],
  };
}

type Part = 'off' | 'on';

interface Options {
  readonly form: keyof typeof FORMS;
  readonly parts: readonly Part[];
  readonly svg: string | undefined;
}

/** @throws AnyhopError ERR_USAGE */
function optionsFrom(args: string[]): Options {
  const usage = (message: string): AnyhopError =>
    new AnyhopError('ERR_USAGE', message, { hint: '--help tells the options.' });
  try {
    const text = { type: 'string' } as const;
    const options = { short: { type: 'boolean' }, defend: text, svg: text } as const;
    const { short, defend, svg } = parseArgs({ args, options }).values;
    const form = short === true ? 'short' : 'full';
    if (defend === undefined) return { form, parts: ['off', 'on'], svg };
    if (defend === 'on' || defend === 'off') return { form, parts: [defend], svg };
  } catch (error) {
    throw usage((error as Error).message);
  }
  throw usage('--defend is on or off');
}
