/**
 * `make demo`: a small anyhop fleet on this machine, and 2,000 real HTTP requests through it. Ends with one line that says
 * what came of them; the exit code is 0 only if every request was answered, every machine took part, and the forwarders'
 * own TCP went on all the while. Takes the engine as its argument: auto (when left out), xdp, af_xdp or portable. Meanwhile the dashboard
 * can be seen in a browser on this machine; with KEEP=1, until Ctrl-C.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineChoice } from '#anyhop/config/types.js';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { AnyhopError, EXIT } from '#anyhop/core/errors.js';
import { createProgress } from './demo/progress.js';
import { demoReport } from './demo/report.js';
import { addDashboards, DASHBOARD_PORT } from './lab/dashboards.js';
import { createLab, type Lab } from './lab/lab.js';
import { runInLab } from './lab/main.js';
import { startOwnTraffic } from './lab/own-traffic.js';
import { getRequests, type HttpAnswer } from './lab/requests.js';
import { VIP4, VIP6 } from './lab/topology.js';

const CHOICES: readonly EngineChoice[] = ['auto', ...NODE_ENGINES];
const REQUESTS_PER_VIP = 1_000;
const FORWARDERS = 2;
const BACKENDS = 3;
const CONCURRENCY = 16;
const REQUEST_TIMEOUT_MS = 5_000;
const FIRST_SOURCE_PORT = 20_000;
/** While the fleet is kept up. */
const KEPT_REQUESTS = 100;
const KEPT_PAUSE_MS = 500;

const PICTURE = `
anyhop demo: a small fleet in network namespaces of this machine.

                        +--> edge-1 --+   GRE    +--> web-1 --+
   client --> router ---|    anyhop   |--------> |    web-2   |--> router --> client
                ECMP    +--> edge-2 --+          +--> web-3 --+
                             forwarders           backends: nginx, the answer goes straight back

The client fetches http://${VIP4}/ and http://[${VIP6}]/, virtual addresses that every backend
has on its loopback. The router spreads connections over two forwarders that share nothing but a config file;
each maps a packet's addresses and ports to the same backend and wraps it in GRE. "anyhop agent" on the backend unwraps it.
Meanwhile the client keeps talking TCP with the forwarders' own addresses, on the same interface.
`;

await runInLab('demo', demo);

async function demo(): Promise<number> {
  const engine = engineFrom(process.argv.slice(2));
  console.log(PICTURE);
  const lab = await createLab({ forwarders: FORWARDERS, backends: BACKENDS, engine });
  try {
    return await runRequests(lab, engine);
  } finally {
    await lab.close();
  }
}

/** @throws AnyhopError ERR_USAGE */
function engineFrom([text = 'auto', ...more]: readonly string[]): EngineChoice {
  const engine = CHOICES.find((name) => name === text);
  if (engine === undefined || more.length > 0)
    throw new AnyhopError('ERR_USAGE', `there is no engine ${[text, ...more].join(' ')}`, {
      hint: `ENGINE is one of ${CHOICES.join(', ')}.`,
    });
  return engine;
}

async function runRequests(lab: Lab, engine: EngineChoice): Promise<number> {
  const own = await startOwnTraffic(lab.resources, lab.client, lab.forwarders);
  const dashboards = await addDashboards(lab);
  const { forwarders } = await lab.startAll();
  const { port } = await dashboards.show(0, DASHBOARD_PORT);
  const dashboard = `http://127.0.0.1:${port}/`;
  const answers = await requestAll(lab);
  const router = await lab.counters();
  await Promise.all(forwarders.map((forwarder) => forwarder.stop()));
  const { text, passed } = demoReport({
    engine,
    answers,
    own: await own.stop(),
    router,
    backends: lab.backends.map(({ name }) => name),
    forwarders: lab.forwarders.map(({ name }, i) => ({ name, events: forwarders[i]!.events })),
  });
  const isKept = process.env['KEEP'] === '1' && passed;
  console.log(
    `\nThe dashboard of this fleet is at ${dashboard} while it runs${isKept ? '' : '; KEEP=1 make demo keeps it up'}.`,
  );
  console.log(text);
  if (isKept) await keepUp(lab, dashboard);
  return passed ? EXIT.ok : EXIT.failure;
}

/** Until Ctrl-C, which removes the lab as at any other time. Some requests a second give the dashboard something to show. */
async function keepUp(lab: Lab, dashboard: string): Promise<never> {
  await Promise.all(lab.forwarders.map((_, index) => lab.startForwarder(index)));
  console.log(`\nThe fleet is up again, with some requests a second: ${dashboard}`);
  console.log(`From another machine: ssh -L ${DASHBOARD_PORT}:${new URL(dashboard).host} THIS_MACHINE`);
  console.log('Ctrl-C ends it.');
  for (;;) {
    const requests = getRequests(VIP4, 80, { count: KEPT_REQUESTS, firstSourcePort: FIRST_SOURCE_PORT });
    await lab.request({ requests, concurrency: CONCURRENCY, timeoutMs: REQUEST_TIMEOUT_MS });
    await delay(KEPT_PAUSE_MS);
  }
}

async function requestAll(lab: Lab): Promise<HttpAnswer[]> {
  const ports = { count: REQUESTS_PER_VIP, firstSourcePort: FIRST_SOURCE_PORT };
  const requests = [...getRequests(VIP4, 80, ports), ...getRequests(VIP6, 80, ports)];
  const progress = createProgress(process.stdout, requests.length);
  const plan = { requests, concurrency: CONCURRENCY, timeoutMs: REQUEST_TIMEOUT_MS };
  const answers = await lab.request(plan, (answer) => progress.count(answer.backend !== null));
  progress.end();
  return answers;
}
