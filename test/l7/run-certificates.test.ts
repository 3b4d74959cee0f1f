/** Certificates of a proxy host that runs: its directory is watched, and what is written there comes into force, whole or not at all. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inNamespace, run } from '../../scripts/lab/command.js';
import {
  eventually,
  NAME,
  ProxyHost,
  SERVER_PORT,
  serverAddress,
  VIP4,
  withoutProxyHost,
} from './run-fixture.js';

/** Longer than two looks of the watch. */
const LOOKS_MS = 5_000;
const API = 'api.example.net';

describe('the certificates of a proxy host', { skip: withoutProxyHost, timeout: 300_000 }, () => {
  let host: ProxyHost;
  before(async () => {
    host = await ProxyHost.create();
    await host.startServer(1);
    const servers = [{ name: 's1', address: serverAddress(1), port: SERVER_PORT }];
    host.configure({ upstreams: { shop: { servers } } });
    await host.start();
  });
  beforeEach(async () => {
    // What a test that failed left.
    if (existsSync(file('api.pem'))) await change(async () => rmSync(file('api.pem')));
    await change(async () => becomes(NAME, await host.certify('shop.pem', [NAME, '*.example.com'], 90)));
  });
  after(() => host?.close());

  const file = (name: string): string => join(host.certificates, name);
  const refusals = (): number => host.logged('certificate_refused').length;

  /** The serial number of the certificate that a new connection gets. */
  async function served(serverName: string): Promise<string> {
    const argv = ['openssl', 's_client', '-connect', `${VIP4}:443`, '-servername', serverName];
    const printed = await run(inNamespace(host.namespace, argv), { mayFail: true });
    const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(printed)?.[0];
    return pem === undefined ? printed : new X509Certificate(pem).serialNumber;
  }

  async function becomes(serverName: string, serial: string): Promise<void> {
    await eventually(`${serverName} has ${serial}`, async () => (await served(serverName)) === serial);
  }

  /** Does something that brings other certificates into force. Resolves to how they did. */
  async function change(task: () => Promise<void>): Promise<unknown> {
    const before = host.logged('l7_certificates').length;
    await task();
    const line = await eventually('it is in force', () => host.logged('l7_certificates')[before]);
    assert.equal(host.logged('l7_task_failed').length, 0);
    return line['applied'];
  }

  /** The same; it takes no reload. */
  async function withoutReload(task: () => Promise<void>): Promise<void> {
    const before = (await host.status()).haproxy;
    assert.equal(await change(task), 'without a reload');
    const { pid, reloads } = (await host.status()).haproxy;
    assert.deepEqual([pid, reloads], [before.pid, before.reloads]);
    assert.equal(host.logged('l7_command_refused').length, 0);
  }

  it('are renewed for new connections without a reload, and stay so after one', async () => {
    let serial = '';
    await withoutReload(async () => {
      serial = await host.certify('shop.pem', [NAME, '*.example.com'], 90);
      await becomes(NAME, serial);
    });
    process.kill(await host.worker(), 'SIGKILL');
    await eventually('HAProxy is there again', async () => (await host.get()).status === 200);
    assert.equal(await served(NAME), serial);
  });

  it('are added and removed without a reload', async () => {
    const shop = await served(NAME);
    assert.equal(await served(API), shop, 'the default');
    await withoutReload(async () => {
      await becomes(API, await host.certify('zapi.pem', [API]));
      assert.equal(await served(NAME), shop);
    });
    assert.equal((await host.status()).certificates.length, 2);
    await withoutReload(async () => {
      rmSync(file('zapi.pem'));
      await becomes(API, shop);
    });
    const { certificates } = await host.status();
    assert.deepEqual(
      certificates.map(({ file: path }) => path),
      [file('shop.pem')],
    );
  });

  it('are exchanged by a reload when another one becomes the default', async () => {
    const shop = await served(NAME);
    const added = await change(async () => {
      const serial = await host.certify('api.pem', [API]);
      await becomes(API, serial);
      await becomes('other.example.org', serial);
    });
    assert.equal(added, 'by a reload');
    const removed = await change(async () => {
      rmSync(file('api.pem'));
      await becomes('other.example.org', shop);
    });
    assert.equal(removed, 'by a reload');
  });

  it('stay in force when a file is broken, which is said once', async () => {
    const before = refusals();
    const serial = await served(NAME);
    writeFileSync(file('shop.pem'), 'broken');
    await eventually('a refusal', () => refusals() > before);
    await sleep(LOOKS_MS);
    assert.equal(refusals(), before + 1);
    assert.equal(await served(NAME), serial);
    assert.match(
      String(host.logged('certificate_refused').at(-1)!['msg']),
      /shop\.pem": it has no certificate; expected certificate, chain and one private key/,
    );
    await withoutReload(async () => becomes(NAME, await host.certify('shop.pem', [NAME])));
  });

  it('stay in force when all files are gone', async () => {
    const serial = await served(NAME);
    rmSync(file('shop.pem'));
    await sleep(LOOKS_MS);
    assert.equal(await served(NAME), serial);
    assert.equal((await host.get()).status, 200);
  });

  it('come into force when a file that is written slowly is whole', async () => {
    await withoutReload(async () => {
      const serial = await host.certify('shop.pem.next', [NAME]);
      const text = readFileSync(file('shop.pem.next'), 'utf8');
      rmSync(file('shop.pem.next'));
      const before = await served(NAME);
      const refused = refusals();
      writeFileSync(file('shop.pem'), text.slice(0, 400));
      await eventually('a look at the half', () => refusals() > refused);
      assert.equal(await served(NAME), before);
      appendFileSync(file('shop.pem'), text.slice(400));
      await becomes(NAME, serial);
    });
  });

  it('may have lines of any end, empty ones and comments between, as tools write them', async () => {
    await withoutReload(async () => {
      const serial = await host.certify('shop.pem.next', [NAME]);
      const text = readFileSync(file('shop.pem.next'), 'utf8');
      rmSync(file('shop.pem.next'));
      const odd = `Bag Attributes\n\n${text.replaceAll('\n', '\r\n')}\r\n\r\n# end\n`;
      writeFileSync(file('new'), odd);
      renameSync(file('new'), file('shop.pem'));
      await becomes(NAME, serial);
    });
  });

  it('come into force by a reload when they are too large for a command', async () => {
    const names = Array.from({ length: 420 }, (_, i) => `a-long-name-of-a-host-${i}.example.com`);
    const applied = await change(async () => becomes(NAME, await host.certify('shop.pem', [NAME, ...names])));
    assert.equal(applied, 'by a reload');
    assert.ok(readFileSync(file('shop.pem')).length > 16_384);
  });

  it('are watched beside a link that leads nowhere', async () => {
    symlinkSync('/nonexistent.pem', file('dangling.pem'));
    try {
      await withoutReload(async () => becomes(NAME, await host.certify('shop.pem', [NAME])));
    } finally {
      rmSync(file('dangling.pem'));
    }
  });

  it('are told in log and status when they expire within two weeks', async () => {
    const told = host.logged('l7_certificate_expires').length;
    await host.certify('shop.pem', [NAME], 10);
    const line = await eventually('a warning', () => host.logged('l7_certificate_expires')[told]);
    assert.match(String(line['msg']), /^shop\.pem of web expires on 20/);
    assert.match((await host.l7('status')).stdout, /^CERTIFICATE +\S+shop\.pem of web expires on 20/m);
    const [shop] = (await host.status()).certificates;
    assert.equal(shop?.expiry, 'soon');
  });
});
