/** A proxy host of its own whose servers come from a file: it starts without any in its config, follows the file under load, and remembers over a restart. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, withoutProxyHost } from './run-fixture.js';

const TIMEOUT_MS = 180_000;

describe('a proxy host whose servers come from a file', {
  skip: withoutProxyHost,
  timeout: TIMEOUT_MS,
}, () => {
  let host: ProxyHost;
  let list = '';
  let env: string[] = [];

  before(async () => {
    host = await ProxyHost.create();
    await host.startServers(4);
    list = join(host.resources.directory, 'shop.json');
    const state = join(host.resources.directory, 'state');
    mkdirSync(state, { mode: 0o700 });
    env = [`ANYHOP_STATE_DIR=${state}`];
    const from = { file: list, port: SERVER_PORT, allowed_addresses: ['10.2.0.0/16'], debounce: '100ms' };
    const shop = { balance: 'round_robin', servers_from: from };
    host.configure({ drain_deadline: '5s', upstreams: { shop } });
  });
  after(() => host?.close());

  const write = (...numbers: number[]): void => {
    const servers = numbers.map((n) => ({ name: `s${n}`, address: serverAddress(n) }));
    writeFileSync(`${list}.new`, JSON.stringify(servers));
    renameSync(`${list}.new`, list);
  };
  const become = (...servers: string[]): Promise<unknown> =>
    eventually(servers.join(), async () => {
      const now = (await host.upstream()).servers.map(({ name, state }) =>
        state === 'active' ? name : `${name} ${state}`,
      );
      return now.sort().join() === servers.join();
    });

  it('starts without any in its config, and is refused without an answer', async () => {
    const refused = await host.l7('check', '-c', host.configFile);
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /l7\.upstreams\.shop\.servers: missing, and nothing is known here of what servers_from finds/,
    );
    write(1, 2, 3);
    await host.start({ env });
    await become('s1', 's2', 's3');
    assert.equal((await host.get()).status, 200);
  });

  it('lets a server join and another one drain and leave, and no request fails', async () => {
    const slow = host.get('/drip?bytes=20&interval=100', { timeoutMs: 20_000 });
    const busy = await eventually('a request', async () => {
      const { servers } = await host.upstream();
      return servers.find(({ sessions }) => sessions === 1)?.name;
    });
    const others = ['s1', 's2', 's3'].filter((name) => name !== busy);
    const load = await host.load({ clients: 5, requestsPerSecond: 50 });
    write(...others.map((name) => Number(name.slice(1))), 4);
    await become(...[...others, 's4', `${busy} draining`].sort());
    await become(...[...others, 's4'].sort());
    assert.equal((await slow).status, 200);
    assert.deepEqual((await load.stop()).reasons, {});
    const { stdout } = await host.l7('status');
    assert.match(stdout, /^source +upstream shop, .*shop\.json: 3 servers at /m);
  });

  it('takes nobody away when the file is broken, and says so', async () => {
    const text = readFileSync(host.configFile, 'utf8');
    const before = (await host.upstream()).servers.map(({ name }) => name);
    writeFileSync(list, '[]');
    await eventually('the alarm', async () => (await host.status()).discovery?.[0]?.alarm?.kind === 'empty');
    assert.match(
      (await host.l7('status')).stdout,
      /^NOT FOLLOWED +since .*it names no server; nothing was changed/m,
    );
    writeFileSync(list, JSON.stringify([{ name: 's1', address: '192.0.2.1' }]));
    await eventually('the alarm', async () => (await host.status()).discovery?.[0]?.alarm?.kind === 'wrong');
    await host.process.stop('SIGINT');
    writeFileSync(list, 'no list');
    await host.start({ env });
    await become(...before.sort());
    assert.equal(readFileSync(host.configFile, 'utf8'), text);
  });
});
