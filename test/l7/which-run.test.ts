/** `which --url` on a proxy host: servers and panic are those that its `anyhop l7 run` sees, as long as both are of one file. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { OddServer } from '../../scripts/lab/l7/odd.js';
import { eventually, NAME, ProxyHost, SERVER_PORT, serverAddress, withoutProxyHost } from './run-fixture.js';

const URL = `https://${NAME}/v1`;

describe('which --url on a proxy host', { skip: withoutProxyHost, timeout: 180_000 }, () => {
  let host: ProxyHost;
  let servers: readonly OddServer[];
  before(async () => {
    host = await ProxyHost.create();
    servers = await host.startServers(2);
    const health = { kind: 'http', interval: '200ms', timeout: '200ms', fall: 1, rise: 1 };
    const list = [1, 2].map((n) => ({ name: `s${n}`, address: serverAddress(n), port: SERVER_PORT }));
    host.configure({ upstreams: { shop: { health, panic_threshold: '60%', servers: list } } });
    await host.start();
  });
  after(() => host?.close());

  async function which(...args: string[]) {
    const { code, stdout, stderr } = await host.anyhop('which', '--url', URL, ...args);
    assert.equal(code, 0, stderr);
    return { rows: Object.fromEntries(stdout.split('\n').map((line) => line.split(/ {2,}/, 2))), stderr };
  }
  const own = () => which('-c', host.configFile);

  it('says which servers are up, and whether panic is in force', async () => {
    await eventually('both servers', async () => (await host.upstream()).usable === 2);
    const { rows, stderr } = await own();
    assert.equal(stderr, '');
    assert.equal(rows['certificate'], join(host.certificates, 'shop.pem'));
    assert.equal(rows['upstream'], 'shop: least_connections; on this host, 2 of 2 active servers usable');
    const [first, second] = [1, 2].map((n) => `${serverAddress(n)}:${SERVER_PORT}`);
    assert.equal(rows['servers'], `s1 (${first}), s2 (${second})`);

    servers[1].process.kill();
    await eventually('one server', async () => (await host.upstream()).usable === 1);
    const later = (await own()).rows;
    assert.equal(
      later['upstream'],
      'shop: least_connections; on this host, 1 of 2 active servers usable, PANIC: all get requests',
    );
    assert.match(later['servers'], new RegExp(`^s1 \\(${first}\\), s2 \\(${second}, DOWN: .+\\)$`));

    assert.equal((await host.l7('drain', 'shop/s1')).code, 0);
    await eventually('the drain', async () => (await host.server('s1')).state === 'draining');
    assert.match((await own()).rows['servers'], /^s1 \([^,]+, draining\)/);
  });

  it('asks nobody when told so, and does not take the word of a process with another file', async () => {
    const alone = await which('-c', host.configFile, '--no-socket');
    assert.equal(alone.rows['upstream'], 'shop: least_connections');
    const other = join(host.resources.directory, 'other.yaml');
    copyFileSync(host.configFile, other);
    const { rows, stderr } = await which('-c', other);
    assert.equal(rows['upstream'], 'shop: least_connections');
    assert.match(
      stderr,
      /^anyhop: "anyhop l7 run" on this host runs by .*anyhop\.yaml; servers are those of .*other\.yaml\n$/,
    );
  });

  it('is of the file where none runs', async () => {
    await host.kill();
    const { rows, stderr } = await own();
    assert.deepEqual([rows['upstream'], stderr], ['shop: least_connections', '']);
  });
});
