/** The access log of a proxy host: one JSON object a line on standard output, and nothing else, through reloads and the end. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, VIP4, withoutProxyHost } from './run-fixture.js';

describe('the access log', { skip: withoutProxyHost, timeout: 180_000 }, () => {
  let host: ProxyHost;
  const servers = [1, 2].map((n) => ({ name: `s${n}`, address: serverAddress(n), port: SERVER_PORT }));
  const health = { kind: 'http', interval: '200ms', timeout: '200ms', fall: 1, rise: 1 };
  before(async () => {
    host = await ProxyHost.create();
    await host.startServer(1);
    host.configure({ upstreams: { shop: { health, servers } } });
    await host.start();
  });
  after(() => host?.close());

  const lines = (): string[] => readFileSync(host.accessLog, 'utf8').split('\n').slice(0, -1);

  it('has every request, those too that HAProxy refuses and connections that fail', async () => {
    assert.equal((await host.get('/a')).status, 200);
    assert.equal((await host.get('/', { options: ['--request', 'BAD"METHOD'] })).status, 400);
    const refused = await host.get('/', { ca: '/etc/ssl/certs/ca-certificates.crt' });
    assert.equal(refused.exitCode, 60);
    await run(inNamespace(host.namespace, ['curl', '-s', '-o', '/dev/null', `http://${VIP4}/`]));
    const entries = await eventually(
      'four lines',
      () => lines().length === 4 && lines().map((line) => JSON.parse(line)),
    );
    assert.deepEqual(entries.map(({ status }) => status).sort(), [0, 200, 308, 400], JSON.stringify(entries));
  });

  it('has none of what HAProxy says about itself and about servers', async () => {
    await eventually('a server is down', async () => (await host.server('s2')).health === 'down');
    host.configure({ upstreams: { shop: { health, servers }, other: { servers } } });
    assert.equal((await host.l7('reload')).stdout, 'in force by a reload\n');
    await eventually('one worker', async () => (await host.status()).haproxy.oldWorkers === 0);
    await host.process.stop('SIGINT', 20_000);
    assert.equal(host.process.running, false);
    for (const line of lines()) assert.equal(typeof JSON.parse(line).status, 'number', line);
  });
});
