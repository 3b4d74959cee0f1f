/**
 * Every question of every panel, put to a real Prometheus that scrapes a lab fleet: two forwarders that announce, two backends with
 * agents, of which one is a proxy host. A panel without an answer is a panel that nobody would see anything in.
 */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { changeConfig } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { VIP4 } from '../../scripts/lab/topology.js';
import { ROWS } from '../../scripts/monitoring/panels.js';
import { RULES_FILE } from '../../scripts/monitoring/rules.js';

const TIMEOUT_MS = 120_000;
const EVENT_MS = 30_000;
const PROMETHEUS = '127.0.0.1:9090';
/** What Grafana puts in the place of variables. */
const VARIABLES: Readonly<Record<string, string>> = {
  $job: '.*',
  $instance: '.*',
  $pool: '.*',
  $__rate_interval: '10s',
};

describe('the dashboard of Grafana over a fleet', {
  skip: missingForLab(['haproxy', 'prometheus', 'curl'])?.message ?? false,
}, () => {
  let lab: Lab;

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
      const listening = (port: number) => ({ listen: `0.0.0.0:${port}` });
      for (const [i, path] of [lab.nodeFile(0), lab.nodeFile(1), lab.configFile].entries())
        changeConfig(path, (config) => {
          config.node.metrics = listening(9612);
          config.agent.metrics = listening(9613);
          config.announce = { rise: '300ms', socket: file(`announce-${i}.sock`), metrics: listening(9615) };
          config.services.push({ name: 'l7', vip: VIP4, protocol: 'tcp', port: 8443, pool: 'v4-over-v4' });
          config.l7 = {
            run_dir: file('l7'),
            max_connections: 100,
            metrics: listening(9614),
            frontends: { web: { services: ['l7'], routes: [{ to: 'app' }] } },
            upstreams: { app: { servers: [{ name: 's1', address: lab.backends[0]!.host4, port: 80 }] } },
          };
        });
      await lab.startAll();
      const start = (what: string, namespace: string, args: readonly string[]) =>
        lab.resources.startProcess(`anyhop ${what}`, namespace, [process.execPath, PROGRAM, ...args]);
      const announcers = lab.forwarders.map(({ namespace, name }, i) =>
        start('announce', namespace, ['announce', '-c', lab.nodeFile(i), '--name', name]),
      );
      const proxy = start('l7 run', lab.backends[0]!.namespace, ['l7', 'run', '-c', lab.configFile]);
      for (const each of await Promise.all(announcers)) await each.waitForEvent('following', EVENT_MS);
      await (await proxy).waitForEvent('ready', EVENT_MS);
      const job = (port: number, hosts: readonly { host4: string }[]) => ({
        targets: hosts.map(({ host4 }) => `${host4}:${port}`),
      });
      writeFileSync(
        file('prometheus.yml'),
        JSON.stringify({
          global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
          rule_files: [join(process.cwd(), 'scripts/monitoring', RULES_FILE)],
          scrape_configs: [
            {
              job_name: 'anyhop',
              static_configs: [
                job(9612, lab.forwarders),
                job(9613, lab.backends),
                job(9614, [lab.backends[0]!]),
                job(9615, lab.forwarders),
              ],
            },
          ],
        }),
      );
      await lab.resources.startProcess('prometheus', lab.router, [
        'prometheus',
        `--config.file=${file('prometheus.yml')}`,
        `--storage.tsdb.path=${file('prometheus')}`,
        `--web.listen-address=${PROMETHEUS}`,
      ]);
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  /** How many series an expression has now, and why none when Prometheus refuses it. */
  const ask = async (expr: string): Promise<{ readonly count: number; readonly error?: string }> => {
    const filled = Object.entries(VARIABLES).reduce(
      (text, [name, value]) => text.replaceAll(name, value),
      expr,
    );
    const url = `http://${PROMETHEUS}/api/v1/query`;
    const argv = ['curl', '-sS', '-G', '--data-urlencode', `query=${filled}`, url];
    const answer = await run(inNamespace(lab.router, argv), { mayFail: true });
    if (answer === '') return { count: 0 };
    const { data, error } = JSON.parse(answer);
    return { count: data?.result?.length ?? 0, error };
  };

  test('has an answer in every panel, except in those that are for trouble, and no alert fires', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const asks = ROWS.flatMap(({ panels }) =>
      panels.flatMap(({ title, emptyWhen, asks }) => asks.map(({ expr }) => ({ title, emptyWhen, expr }))),
    );
    let empty = asks;
    for (let port = 20_000, endMs = performance.now() + 60_000; ; port += 100) {
      const requests = [80, 8443].flatMap((vipPort, i) =>
        getRequests(VIP4, vipPort, { count: 10, firstSourcePort: port + 20 * i }),
      );
      await lab.request({ requests, concurrency: 4, timeoutMs: 10_000 });
      const answers = await Promise.all(empty.map(async (each) => ({ each, ...(await ask(each.expr)) })));
      for (const { each, error } of answers) assert.equal(error, undefined, `${each.title}: ${each.expr}`);
      empty = answers.filter(({ count }) => count === 0).map(({ each }) => each);
      if (empty.every(({ emptyWhen }) => emptyWhen !== undefined) || performance.now() > endMs) break;
      await delay(1_000);
    }
    assert.deepEqual(
      empty.filter(({ emptyWhen }) => emptyWhen === undefined).map(({ title, expr }) => `${title}: ${expr}`),
      [],
      'panels without an answer',
    );
    assert.equal((await ask('ALERTS{alertstate="firing"}')).count, 0, 'alerts of a fleet that is well');
    assert.equal((await ask('up == 1')).count, 7);
  });
});
