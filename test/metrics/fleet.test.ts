/**
 * The metrics of all four processes in a lab, as Prometheus reads them: what promtool finds wrong with them, what Prometheus itself
 * scrapes, and whether each name is on the page and each name of the page is told.
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

const TIMEOUT_MS = 120_000;
const EVENT_MS = 30_000;
const REQUESTS = 20;
const PROMETHEUS_PORT = 9090;
const PORTS: Readonly<Record<MetricsProcess, number>> = { node: 9612, agent: 9613, l7: 9614, announce: 9615 };
/** Not told in this lab: no certificate, no file of keepalived, no check of the server. */
const NOT_HERE = new Set([
  'anyhop_l7_certificate_expiry_timestamp_seconds',
  'anyhop_announce_track_number',
  'anyhop_l7_server_response_seconds',
]);

describe('the metrics of a fleet', {
  skip: missingForLab(['haproxy', 'promtool', 'prometheus', 'curl'])?.message ?? false,
}, () => {
  let lab: Lab;
  let prometheus: LabProcess;
  let proxy: LabProcess;
  const places = (): Readonly<Record<MetricsProcess, string>> => {
    const [{ namespace: forwarder }] = lab.forwarders;
    const [{ namespace: backend }] = lab.backends;
    return { node: forwarder, announce: forwarder, agent: backend, l7: backend };
  };

  before(
    async () => {
      lab = await createLab({
        forwarders: 1,
        backends: 1,
        engine: 'xdp',
        pool: { health: { kind: 'http', port: 80, interval: '200ms', timeout: '150ms' } },
      });
      chmodSync(lab.resources.directory, 0o711); // HAProxy's user passes through
      const file = (name: string): string => join(lab.resources.directory, name);
      for (const path of [lab.configFile, lab.nodeFile(0)])
        changeConfig(path, (config) => {
          config.node.metrics = {};
          config.agent.metrics = {};
          config.announce = { rise: '300ms', socket: file('announce.sock'), metrics: {} };
          config.services.push({ name: 'l7', vip: VIP4, protocol: 'tcp', port: 8443, pool: 'v4-over-v4' });
          config.l7 = {
            run_dir: file('l7'),
            max_connections: 100,
            metrics: {},
            frontends: { web: { services: ['l7'], routes: [{ to: 'app' }] } },
            upstreams: {
              app: {
                health: { path: '/' },
                servers: [{ name: 's1', address: lab.backends[0]!.host4, port: 8099 }],
              },
            },
          };
        });
      await lab.startAll();
      prometheus = await startPrometheus();
      const { announce, l7 } = places();
      const node = ['-c', lab.nodeFile(0), '--name', lab.forwarders[0]!.name];
      const start = (what: string, namespace: string, args: string[]) =>
        lab.resources.startProcess(`anyhop ${what}`, namespace, [process.execPath, PROGRAM, ...args]);
      const started = await Promise.all([
        start('announce', announce, ['announce', ...node]),
        start('l7 run', l7, ['l7', 'run', '-c', lab.configFile]),
      ]);
      proxy = started[1];
      await started[0].waitForEvent('following', EVENT_MS);
      await started[1].waitForEvent('ready', EVENT_MS);
      const requests = getRequests(VIP4, 80, { count: REQUESTS, firstSourcePort: 20_000 });
      const answers = await lab.request({ requests, concurrency: 4, timeoutMs: 10_000 });
      assert.ok(answers.every(({ backend }) => backend !== null));
    },
    { timeout: TIMEOUT_MS },
  );
  /** Of the processes on the forwarder. */
  const startPrometheus = (): Promise<LabProcess> => {
    const { node: namespace } = places();
    const file = join(lab.resources.directory, 'prometheus.yml');
    const targets = [PORTS.node, PORTS.announce].map((port) => `127.0.0.1:${port}`);
    writeFileSync(
      file,
      JSON.stringify({
        global: { scrape_interval: '1s', scrape_timeout: '1s' },
        scrape_configs: [{ job_name: 'anyhop', static_configs: [{ targets }] }],
      }),
    );
    return lab.resources.startProcess('prometheus', namespace, [
      'prometheus',
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(lab.resources.directory, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${PROMETHEUS_PORT}`,
    ]);
  };
  after(
    async () => {
      await proxy?.stop('SIGINT'); // SIGTERM drains the host first
      await lab?.close();
    },
    { timeout: TIMEOUT_MS },
  );

  const scrape = (process: MetricsProcess, ...headers: string[]): Promise<string> => {
    const options = headers.flatMap((header) => ['-H', header]);
    const url = `http://127.0.0.1:${PORTS[process]}/metrics`;
    return run(inNamespace(places()[process], ['curl', '-sS', '--fail-with-body', ...options, url]));
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
        text = await scrape(process);
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
      (['node', 'agent', 'announce', 'l7'] as const).map((each) => scrape(each)),
    );
    const number = (text: string, series: string): number => {
      const line = text!.split('\n').find((each) => each.startsWith(`${series} `));
      assert.ok(line !== undefined, `${series} in\n${text}`);
      return Number(line.slice(series.length + 1));
    };
    const packets = number(node!, 'anyhop_service_packets_total{service="v4-over-v4"}');
    assert.ok(packets >= REQUESTS * 4, `${packets} packets`);
    assert.equal(
      number(node!, 'anyhop_backend_packets_total{pool="v4-over-v4",backend="web-1"}'),
      packets,
      'of the one backend',
    );
    assert.equal(number(node!, 'anyhop_backend_up{pool="v4-over-v4",backend="web-1"}'), 1);
    assert.equal(number(node!, 'anyhop_backend_slots{pool="v4-over-v4",backend="web-1"}'), 65537);
    assert.equal(number(node!, 'anyhop_backend_state{pool="v4-over-v4",backend="web-1",state="active"}'), 1);
    assert.equal(number(node!, 'anyhop_ready'), 1);
    assert.ok(number(node!, 'anyhop_check_duration_seconds_count{pool="v4-over-v4",kind="http"}') > 0);
    assert.ok(number(agent!, 'anyhop_agent_packets_total{verdict="delivered"}') >= packets);
    assert.equal(number(agent!, 'anyhop_agent_attached'), 1);
    assert.equal(number(announce!, `anyhop_announce_vip_state{vip="${VIP4}",state="announced"}`), 1);
    assert.equal(number(l7!, 'anyhop_l7_haproxy_up'), 1);
    assert.equal(number(l7!, 'anyhop_l7_server_up{upstream="app",server="s1"}'), 0);
  });

  test('are scraped by Prometheus in the format of OpenMetrics', { timeout: TIMEOUT_MS }, async () => {
    const { node: namespace } = places();
    const query = async (text: string): Promise<{ value: [number, string] }[]> => {
      const url = `http://127.0.0.1:${PROMETHEUS_PORT}/api/v1/query`;
      const argv = ['curl', '-sS', '-G', '--data-urlencode', `query=${text}`, url];
      const answer = await run(inNamespace(namespace, argv), { mayFail: true });
      return answer === '' ? [] : JSON.parse(answer).data.result;
    };
    let up: string[] = [];
    for (const endMs = performance.now() + EVENT_MS; performance.now() < endMs; await delay(300)) {
      up = (await query('up')).map(({ value: [, is] }) => is);
      if (up.length === 2 && up.every((is) => is === '1')) break;
      assert.ok(prometheus.running, prometheus.tail());
    }
    assert.deepEqual(up, ['1', '1']);
    assert.equal((await query('anyhop_packets_total{verdict="forwarded"} > 0')).length, 1);
    assert.equal(
      (await query('histogram_quantile(0.5, anyhop_check_duration_seconds_bucket{pool="v4-over-v4"}) >= 0'))
        .length,
      1,
    );
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
      while ((await answers(port)) !== isThere)
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
