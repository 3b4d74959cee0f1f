/**
 * ACME end to end, with Debian's lego and pebble: the authority's HTTP-01 challenge is answered by the proxy host itself, from the thumbprint
 * of the account alone, and the certificate comes into force without a reload.
 */
import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { curl, headerOf } from '../../scripts/lab/l7/curl.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

const PROGRAM = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const VIP = '203.0.113.10';
const HOST = '10.1.0.11';
const NAME = 'shop.example.com';
const EMAIL = 'ops@example.com';
const TIMEOUT_MS = 60_000;

/** As docs/acme.md has it, on one host. */
const HOOK = `#!/bin/sh
set -eu
umask 077
cat "$LEGO_CERT_PATH" "$LEGO_CERT_KEY_PATH" > "$CERTIFICATES/.$LEGO_CERT_DOMAIN.new"
mv "$CERTIFICATES/.$LEGO_CERT_DOMAIN.new" "$CERTIFICATES/$LEGO_CERT_DOMAIN.pem"
`;

describe('a certificate by ACME', {
  skip: missingForIsolation('haproxy', 'setpriv', 'lego', 'pebble', 'pebble-challtestsrv', 'openssl', 'curl'),
}, () => {
  let resources: Resources;
  let namespace: string;
  let authority: Authority;
  let tier: LabProcess;
  const file = (...names: string[]): string => join(resources.directory, ...names);

  before(async () => {
    resources = new Resources();
    chmodSync(resources.directory, 0o711); // HAProxy's user passes through
    namespace = resources.addNamespace('proxy');
    const addresses = [VIP, HOST].map((each) => `addr add ${each}/32 dev lo`);
    await run(['ip', '-n', namespace, '-batch', '-'], { input: `link set lo up\n${addresses.join('\n')}\n` });
    authority = await createAuthority(resources.directory);
    mkdirSync(file('certs'), { mode: 0o700 });
    await authority.serverCertificate(file('certs', '00-default.pem'), ['default.invalid']);
    const key = await run(['openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout']);
    const keys = file('lego', 'accounts', 'localhost_14000', EMAIL, 'keys');
    mkdirSync(keys, { recursive: true, mode: 0o700 });
    writeFileSync(join(keys, `${EMAIL}.key`), key, { mode: 0o600 });
    writeFileSync(file('anyhop.yaml'), JSON.stringify(configOf(thumbprintOf(key))), { mode: 0o600 });
    const argv = [process.execPath, PROGRAM, 'l7', 'run', '-c', file('anyhop.yaml')];
    tier = await resources.startProcess('anyhop l7 run', namespace, argv);
    await tier.waitForEvent('ready', TIMEOUT_MS);
    await startAuthority();
  });

  after(() => resources?.close());

  const configOf = (thumbprint: string): object => ({
    agent: { forwarders: ['10.0.0.1'], run_dir: file('agent') },
    pools: { proxies: { backends: [{ name: 'proxy-1', address: HOST }] } },
    services: [
      { name: 'https', vip: VIP, protocol: 'tcp', port: 443, pool: 'proxies' },
      { name: 'http', vip: VIP, protocol: 'tcp', port: 80, pool: 'proxies' },
    ],
    l7: {
      key: '0123456789abcdef'.repeat(4),
      run_dir: file('l7'),
      acme: { thumbprint },
      frontends: {
        web: {
          services: ['https'],
          certificates: file('certs'),
          redirect_from: ['http'],
          routes: [{ host: NAME, redirect: 'https://elsewhere.example.com' }],
        },
      },
      upstreams: {},
    },
  });

  async function startAuthority(): Promise<void> {
    await authority.serverCertificate(file('pebble.pem'), ['localhost']);
    const pebble = {
      listenAddress: '127.0.0.1:14000',
      managementListenAddress: '127.0.0.1:15000',
      certificate: file('pebble.pem'),
      privateKey: file('pebble.pem'),
      httpPort: 80,
      tlsPort: 443,
    };
    writeFileSync(file('pebble.json'), JSON.stringify({ pebble }));
    const names = [
      '-defaultIPv4',
      VIP,
      '-defaultIPv6',
      '',
      '-dns01',
      '127.0.0.1:8053',
      '-management',
      '127.0.0.1:8055',
    ];
    const closed = ['-http01', '', '-https01', '', '-tlsalpn01', ''];
    await resources.startProcess('names', namespace, ['pebble-challtestsrv', ...names, ...closed]);
    const server = ['pebble', '-config', file('pebble.json'), '-dnsserver', '127.0.0.1:8053'];
    const argv = ['env', 'PEBBLE_VA_NOSLEEP=1', 'PEBBLE_WFE_NONCEREJECT=0', ...server];
    const started = await resources.startProcess('pebble', namespace, argv);
    await started.waitForLine((line) => line.includes('Listening on'), 'listening socket', TIMEOUT_MS);
  }

  it('is issued without any state on the proxy host, and is in force without a reload', async () => {
    const before = await subject();
    assert.match(before, /default\.invalid/);
    const lego = [
      'lego',
      '--server',
      'https://localhost:14000/dir',
      '--path',
      file('lego'),
      '--email',
      EMAIL,
    ];
    const challenge = ['--accept-tos', '--domains', NAME, '--http', '--http.webroot', file('webroot')];
    const environment = ['env', `LEGO_CA_CERTIFICATES=${authority.file}`, `CERTIFICATES=${file('certs')}`];
    mkdirSync(file('webroot'));
    writeFileSync(file('hook'), HOOK, { mode: 0o700 });
    await run(
      inNamespace(namespace, [...environment, ...lego, ...challenge, 'run', '--run-hook', file('hook')]),
      { timeoutMs: TIMEOUT_MS },
    );
    const deadline = Date.now() + TIMEOUT_MS;
    while (!/Pebble/.test(await subject())) {
      assert.ok(Date.now() < deadline, `the certificate is not in force:\n${tier.tail()}`);
      await sleep(200);
    }
    const taken = await tier.waitForEvent('l7_certificates', TIMEOUT_MS);
    assert.equal(taken['applied'], 'without a reload');
  });

  it('leaves every other path under plain HTTP to the redirect', async () => {
    const ask = (path: string) => curl({ url: `http://${NAME}${path}`, address: VIP }, namespace);
    const challenge = await ask('/.well-known/acme-challenge/some_token-1');
    assert.equal(challenge.status, 200);
    assert.match(challenge.body, /^some_token-1\.[A-Za-z0-9_-]{43}$/);
    for (const path of [
      '/',
      '/.well-known/acme-challenge/',
      '/.well-known/acme-challenge/a/b',
      '/.well-known/acme-challenge/a%22b',
    ]) {
      const answer = await ask(path);
      assert.equal(answer.status, 308, path);
      assert.equal(headerOf(answer, 'location'), `https://${NAME}${path}`);
    }
  });

  /** Issuer and subject of what a client of the name is shown. */
  async function subject(): Promise<string> {
    const client = ['openssl', 's_client', '-connect', `${VIP}:443`, '-servername', NAME];
    return run(inNamespace(namespace, client), { input: '', mayFail: true, timeoutMs: TIMEOUT_MS });
  }
});

/** RFC 7638, of an EC key: members in the order of their names, without white space. */
function thumbprintOf(pem: string): string {
  const { crv, kty, x, y } = createPublicKey(pem).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}
