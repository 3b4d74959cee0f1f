/**
 * The metrics of all four processes in a lab, as Prometheus reads them: what promtool finds wrong with them, what Prometheus itself
 * scrapes, and whether each name is on the page and each name of the page is told. Every question of every panel of the dashboard for
 * Grafana is put to that Prometheus: a panel without an answer is a panel that nobody would see anything in.
 */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { MetricsProcess } from '#anyhop/metrics/family.js';
import { familiesOf } from '#anyhop/metrics/names.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { changeConfig } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { VIP4 } from '../../scripts/lab/topology.js';
import { ROWS } from '../../scripts/monitoring/panels.js';
import { RULES_FILE } from '../../scripts/monitoring/rules.js';

const TIMEOUT_MS = 120_000;
const EVENT_MS = 30_000;
const REQUESTS = 20;
const PROMETHEUS = '127.0.0.1:9090';
const PORTS: Readonly<Record<MetricsProcess, number>> = { node: 9612, agent: 9613, l7: 9614, announce: 9615 };
/** Two nodes, two announcers, two agents, a proxy. */
const PROCESSES = 7;
/** Not told in this lab: no certificate, no file of keepalived. */
const NOT_HERE = new Set([
  'anyhop_l7_certificate_expiry_timestamp_seconds',
  'anyhop_announce_track_number',
  'anyhop_health_views',
  'anyhop_discovery_alarm',
  'anyhop_discovery_answered_timestamp_seconds',
  'anyhop_discovery_backends',
  'anyhop_discovery_upstream_alarm',
  'anyhop_discovery_upstream_answered_timestamp_seconds',
  'anyhop_discovery_upstream_servers',
  'anyhop_fleet_revision',
  'anyhop_fleet_revision_in_store',
  'anyhop_fleet_store_reachable',
  'anyhop_fleet_store_answered_timestamp_seconds',
]);
/** What Grafana puts in the place of variables. */
const VARIABLES: Readonly<Record<string, string>> = {
  $job: '.*',
  $instance: '.*',
  $pool: '.*',
  $__rate_interval: '10s',
};

describe('the metrics of a fleet', {
  skip: missingForLab(['haproxy', 'promtool', 'prometheus', 'curl'])?.message ?? false,
}, () => {
  let lab: Lab;
  let proxy: LabProcess;
  const places = (): Readonly<Record<MetricsProcess, readonly string[]>> => {
    const [forwarders, backends] = [lab.forwarders, lab.backends].map((hosts) =>
      hosts.map(({ namespace }) => namespace),
    );
    return { node: forwarders!, announce: forwarders!, agent: backends!, l7: backends!.slice(0, 1) };
  };

  before(
    async () => {
      lab = await createLab({
        forwarders: 2,
        backends: 2,
        engine: 'xdp',
        pool: { health: { kind: 'http', port: 80, interval: '200ms', timeout: '150ms' } },
      });
      chmodSync(lab.resources.directory, 0o711); // HAProxy's user passes through
      const file = (name: string): string => join(lab.resources.directory, name);
      const metrics = (process: MetricsProcess) => ({ listen: `0.0.0.0:${PORTS[process]}` });
      writeFileSync(file('block.txt'), '198.51.100.0/24\n2001:db8:bad::/48\n');
      for (const [i, path] of [lab.nodeFile(0), lab.nodeFile(1), lab.configFile].entries())
        changeConfig(path, (config) => {
          config.node.metrics = metrics('node');
          config.agent.metrics = metrics('agent');
          config.announce = {
            rise: '300ms',
            socket: file(`announce-${i}.sock`),
            metrics: metrics('announce'),
          };
          config.defend = {
            mode: 'observe',
            source_rate: { packets: '50k', syn: 500 },
            service_rate: { syn: '200k' },
            syn_cookies: 'auto',
            block: [{ file: file('block.txt') }],
          };
          config.services.push({ name: 'l7', vip: VIP4, protocol: 'tcp', port: 8443, pool: 'v4-over-v4' });
          config.l7 = {
            run_dir: file('l7'),
            max_connections: 100,
            metrics: metrics('l7'),
            frontends: { web: { services: ['l7'], routes: [{ to: 'app' }] } },
            upstreams: {
              app: {
                health: { path: '/' },
                servers: [{ name: 's1', address: lab.backends[0]!.host4, port: 80 }],
              },
            },
          };
        });
      const start = (what: string, namespace: string, args: readonly string[]) =>
        lab.resources.startProcess(`anyhop ${what}`, namespace, [process.execPath, PROGRAM, ...args]);
      const starting = start('l7 run', places().l7[0]!, ['l7', 'run', '-c', lab.configFile]);
      await lab.startAll();
      proxy = await starting;
      const announcers = await Promise.all(
        lab.forwarders.map(({ namespace, name }, i) =>
          start('announce', namespace, ['announce', '-c', lab.nodeFile(i), '--name', name]),
        ),
      );
      for (const each of announcers) await each.waitForEvent('following', EVENT_MS);
      await proxy.waitForEvent('ready', EVENT_MS);
      await startPrometheus();
      const requests = getRequests(VIP4, 80, { count: REQUESTS, firstSourcePort: 10_000 });
      const answers = await lab.request({ requests, concurrency: 4, timeoutMs: 10_000 });
      assert.ok(answers.every(({ backend }) => backend !== null));
    },
    { timeout: TIMEOUT_MS },
  );
  const startPrometheus = (): Promise<LabProcess> => {
    const file = (name: string): string => join(lab.resources.directory, name);
    const job = (process: MetricsProcess, hosts: readonly { host4: string }[]) => ({
      targets: hosts.map(({ host4 }) => `${host4}:${PORTS[process]}`),
    });
    writeFileSync(
      file('prometheus.yml'),
      JSON.stringify({
        global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
        rule_files: [join(process.cwd(), 'scripts/monitoring', RULES_FILE)],
        scrape_configs: [
          {
            job_name: 'anyhop',
            static_configs: [
              job('node', lab.forwarders),
              job('agent', lab.backends),
              job('l7', lab.backends.slice(0, 1)),
              job('announce', lab.forwarders),
            ],
          },
        ],
      }),
    );
    return lab.resources.startProcess('prometheus', lab.router, [
      'prometheus',
      `--config.file=${file('prometheus.yml')}`,
      `--storage.tsdb.path=${file('prometheus')}`,
      `--web.listen-address=${PROMETHEUS}`,
    ]);
  };
  after(
    async () => {
      await proxy?.stop('SIGINT'); // SIGTERM drains the host first
      await lab?.close();
    },
    { timeout: TIMEOUT_MS },
  );

  /** What each process of this kind tells. */
  const scrapeAll = (process: MetricsProcess): Promise<string[]> => {
    const url = `http://127.0.0.1:${PORTS[process]}/metrics`;
    return Promise.all(
      places()[process].map((each) => run(inNamespace(each, ['curl', '-sS', '--fail-with-body', url]))),
    );
  };
  const namesIn = (text: string): Set<string> =>
    new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!));

  for (const process of Object.keys(PORTS) as MetricsProcess[]) {
    test(`of ${process} are as promtool wants them, and are those of the page`, {
      timeout: TIMEOUT_MS,
    }, async () => {
      // HAProxy is first looked at a second after it started.
      let text = '';
      let missing: string[] = [];
      for (const endMs = performance.now() + EVENT_MS; performance.now() < endMs; await delay(300)) {
        text = (await scrapeAll(process))[0]!;
        const told = namesIn(text);
        missing = Object.keys(familiesOf(process)).filter((name) => !told.has(name) && !NOT_HERE.has(name));
        if (missing.length === 0) break;
      }
      assert.deepEqual(missing, [], 'names of the page that are not told');
      assert.equal(await run(['promtool', 'check', 'metrics'], { input: text }), '');
      const page = readFileSync('docs/reference/metrics.md', 'utf8');
      for (const name of namesIn(text)) {
        assert.ok(Object.hasOwn(familiesOf(process), name), `${name} is of ${process}`);
        assert.ok(page.includes(`| \`${name}\` |`), `${name} is on the page`);
      }
      assert.doesNotMatch(text, /192\.0\.2\.10|2001:db8:1::10/, 'no address of a client');
    });
  }

  test('tell what happened', { timeout: TIMEOUT_MS }, async () => {
    const [node, agent, announce, l7] = await Promise.all(
      (['node', 'agent', 'announce', 'l7'] as const).map((each) => scrapeAll(each)),
    );
    const number = (text: string, series: string): number => {
      const line = text.split('\n').find((each) => each.startsWith(`${series} `));
      assert.ok(line !== undefined, `${series} in\n${text}`);
      return Number(line.slice(series.length + 1));
    };
    /** Over all processes of a kind, and over series. */
    const sum = (texts: readonly string[] | undefined, ...series: readonly string[]): number =>
      texts!.flatMap((text) => series.map((each) => number(text, each))).reduce((a, b) => a + b);
    const backends = (name: string): string[] =>
      [1, 2].map((n) => `anyhop_backend_${name}{pool="v4-over-v4",backend="web-${n}"}`);
    const packets = sum(node, 'anyhop_service_packets_total{service="v4-over-v4"}');
    assert.ok(packets >= REQUESTS * 4, `${packets} packets`);
    assert.equal(sum(node, ...backends('packets_total')), packets, 'of the backends');
    assert.equal(sum(node, ...backends('up')), 4);
    assert.equal(sum(node, ...backends('slots')), 2 * 65537);
    assert.equal(
      sum(node, 'anyhop_backend_state{pool="v4-over-v4",backend="web-1",state="active"}'),
      2,
      'on each node',
    );
    assert.equal(sum(node, 'anyhop_ready'), 2);
    assert.ok(sum(node, 'anyhop_check_duration_seconds_count{pool="v4-over-v4",kind="http"}') > 0);
    assert.ok(sum(agent, 'anyhop_agent_packets_total{verdict="delivered"}') >= packets);
    assert.equal(sum(agent, 'anyhop_agent_attached'), 2);
    assert.equal(sum(announce, `anyhop_announce_vip_state{vip="${VIP4}",state="announced"}`), 2);
    assert.equal(sum(l7, 'anyhop_l7_haproxy_up'), 1);
    assert.equal(sum(l7, 'anyhop_l7_server_up{upstream="app",server="s1"}'), 1);
  });

  /** How many series each expression has now, and why none when Prometheus refuses it. */
  const ask = async (...expressions: readonly string[]): Promise<{ count: number; error?: string }[]> => {
    const urls = expressions.map((expr) => {
      const filled = Object.entries(VARIABLES).reduce(
        (text, [name, value]) => text.replaceAll(name, value),
        expr,
      );
      return `http://${PROMETHEUS}/api/v1/query?query=${encodeURIComponent(filled)}`;
    });
    const argv = ['curl', '-sS', '--globoff', '-w', '\n', ...urls];
    const lines = (await run(inNamespace(lab.router, argv), { mayFail: true })).split('\n');
    return urls.map((_, i) => {
      const { data, error } = JSON.parse(lines[i] || '{}');
      return { count: data?.result?.length ?? 0, error };
    });
  };
  const countOf = async (expr: string): Promise<number> => (await ask(expr))[0]!.count;

  test('answer every panel of Grafana, except those that are for trouble, and no alert fires', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const asks = ROWS.flatMap(({ panels }) =>
      panels.flatMap(({ title, emptyWhen, asks }) => asks.map(({ expr }) => ({ title, emptyWhen, expr }))),
    );
    let empty = asks;
    for (let port = 20_000, endMs = performance.now() + 60_000; ; port += 50) {
      const requests = [80, 8443].flatMap((vipPort, i) =>
        getRequests(VIP4, vipPort, { count: 10, firstSourcePort: port + 20 * i }),
      );
      await lab.request({ requests, concurrency: 4, timeoutMs: 10_000 });
      const answers = await ask(...empty.map(({ expr }) => expr));
      for (const [i, { error }] of answers.entries())
        assert.equal(error, undefined, `${empty[i]!.title}: ${empty[i]!.expr}`);
      empty = empty.filter((_, i) => answers[i]!.count === 0);
      if (empty.every(({ emptyWhen }) => emptyWhen !== undefined) || performance.now() > endMs) break;
      await delay(500);
    }
    assert.deepEqual(
      empty.filter(({ emptyWhen }) => emptyWhen === undefined).map(({ title, expr }) => `${title}: ${expr}`),
      [],
      'panels without an answer',
    );
    assert.equal(await countOf('ALERTS{alertstate="firing"}'), 0, 'alerts of a fleet that is well');
  });

  test('are scraped by Prometheus in the format of OpenMetrics', { timeout: TIMEOUT_MS }, async () => {
    let up = 0;
    for (const endMs = performance.now() + EVENT_MS; performance.now() < endMs; await delay(300)) {
      up = await countOf('up == 1');
      if (up === PROCESSES) break;
    }
    assert.equal(up, PROCESSES);
    assert.ok((await countOf('anyhop_packets_total{verdict="forwarded"} > 0')) > 0);
    const buckets = 'anyhop_check_duration_seconds_bucket{pool="v4-over-v4"}';
    assert.equal(await countOf(`histogram_quantile(0.5, ${buckets}) >= 0`), 2);
  });

  test('are where the config says, also after a reload', { timeout: TIMEOUT_MS }, async () => {
    const [{ namespace }] = lab.forwarders;
    const url = (port: number): string[] =>
      inNamespace(namespace, ['curl', '-sS', `http://127.0.0.1:${port}/-/healthy`]);
    const reload = async (metrics: object | undefined): Promise<void> => {
      changeConfig(lab.nodeFile(0), (config) => {
        config.node.metrics = metrics;
      });
      const argv = [process.execPath, PROGRAM, 'reload', '--socket', lab.socket(0)];
      await run(inNamespace(namespace, argv), { timeoutMs: EVENT_MS });
    };
    const answers = async (port: number): Promise<boolean> =>
      (await run(url(port), { mayFail: true })) === 'the process answers\n';
    const becomes = async (port: number, isThere: boolean): Promise<void> => {
      const endMs = performance.now() + EVENT_MS;
      for (; (await answers(port)) !== isThere; await delay(50))
        assert.ok(performance.now() < endMs, `port ${port} ${isThere ? 'answers' : 'is closed'}`);
    };
    await reload({ listen: '127.0.0.1:9700' });
    await becomes(9700, true);
    await becomes(9612, false);
    await reload(undefined);
    await becomes(9700, false);
    await reload({});
    await becomes(9612, true);
  });
});
