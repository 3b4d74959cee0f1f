/** `anyhop l7 check` on a proxy host: its addresses and ports, while HAProxy serves and while it does not. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { after, afterEach, before, describe, it } from 'node:test';
import { inNamespace } from '../../scripts/lab/command.js';
import { MAIN, ProxyHost, SERVER_PORT, serverAddress, VIP6, withoutProxyHost } from './run-fixture.js';

const SERVERS = [{ name: 's1', address: serverAddress(1), port: SERVER_PORT }];

describe('anyhop l7 check on a proxy host', { skip: withoutProxyHost, timeout: 300_000 }, () => {
  let host: ProxyHost;
  before(async () => {
    host = await ProxyHost.create();
  });
  afterEach(() => host?.kill());
  after(() => host?.close());

  const configure = (l7: object = {}): void =>
    host.configure({ upstreams: { shop: { servers: SERVERS } }, ...l7 });
  /** The exit code, and what was wrong, without the file's name. */
  const check = async (): Promise<readonly [number | null, string]> => {
    const { code, stderr } = await host.l7('check', '-c', host.configFile);
    return [code, stderr.replaceAll(/^\S+:\d+:\d+: /gm, '').trimEnd()];
  };

  it('finds a good config good, also while HAProxy serves with it', async () => {
    configure();
    assert.deepEqual(await check(), [0, '']);
    await host.start();
    assert.deepEqual(await check(), [0, ''], "HAProxy's own ports are not taken");
    const { stdout } = await host.l7('check', '-c', host.configFile);
    assert.match(stdout, /anyhop\.yaml: good, and HAProxy accepts it$/m);
  });

  it('finds a port that another program has, and an address that is not there', async () => {
    configure();
    const other = await host.occupy(443);
    const [code, text] = await check();
    assert.equal(code, 2);
    assert.match(
      text,
      /^l7\.frontends\.web\.services\[0\]: port 443 of 203\.0\.113\.10 is taken by node \(process \d+\)$/,
    );
    other.kill();
    await other.exited;
    const address = (what: string): Buffer =>
      execFileSync('ip', ['-n', host.namespace, 'addr', what, `${VIP6}/128`, 'dev', 'lo']);
    address('del');
    try {
      assert.deepEqual(await check(), [
        2,
        `l7.frontends.web.services[1]: ${VIP6} is no address of this host: ip address add ${VIP6}/128 dev lo`,
      ]);
    } finally {
      address('add');
    }
  });

  it('warns of more connections than this shell may have files for', () => {
    configure({ max_connections: 900 });
    const limited = ['sh', '-c', 'ulimit -n 1000 && exec "$@"', 'sh', process.execPath, MAIN];
    const [program = '', ...args] = inNamespace(host.namespace, [
      ...limited,
      ...['l7', 'check', '--json', '-c', host.configFile, '--run-dir', host.runDirectory],
    ]);
    const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' });
    const { ok, warnings } = JSON.parse(stdout);
    assert.deepEqual([status, ok], [0, true]);
    const found = warnings.filter(({ field }: { field: string }) => field === 'l7.max_connections');
    assert.equal(found.length, 1);
    assert.match(
      found[0].message,
      /^900 connections take \d+ open files, and this process may have 1000: at most \d+ /,
    );
  });
});
