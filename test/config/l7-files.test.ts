/** Files that the section `l7` names: certificates, authorities and the subkey, right, wrong and doubtful. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { ConfigError } from '#anyhop/config/error.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { type Certificate, makeCertificate } from '../health/servers.js';
import { type L7Parts, l7Text, SUBKEY, warningsOf } from './l7-fixture.js';

const TLS = 'services: [https]\ncertificates: certs';

let folder: string;
let good: Certificate;
let other: Certificate;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-l7-files-'));
  good = makeCertificate('DNS:shop.example.com,DNS:*.shop.example.com');
  other = makeCertificate('DNS:other.example.com');
});
after(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  rmSync(join(folder, 'certs'), { recursive: true, force: true });
  mkdirSync(join(folder, 'certs'));
});

function write(name: string, text: string, mode = 0o600): void {
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), mode);
}

function load(parts: L7Parts): LoadedConfig<'l7'> {
  return parseConfig(l7Text(parts), join(folder, 'anyhop.yaml'), { role: 'l7', env: {} });
}

/** Errors as `FIELD: MESSAGE`, with the folder's name left out. */
function errorsOf(parts: L7Parts): string[] {
  try {
    load(parts);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ field, message }) => `${field}: ${message.replaceAll(`${folder}/`, '')}`);
  }
}

const warnings = (parts: L7Parts): string[] =>
  warningsOf(load(parts)).map((text) => text.replace(/^\S+ /, '').replaceAll(`${folder}/`, ''));

describe('certificates of a frontend', () => {
  const errors = (name: string, text: string): string[] => {
    write(`certs/${name}`, text);
    return errorsOf({ frontend: TLS });
  };
  const FIELD = 'l7.frontends.web.certificates';

  it('are read from every *.pem, whatever else is in the directory or in the files', () => {
    write('certs/b.pem', `friendly name: b\n${good.cert}and the key:\n${good.key}`);
    write('certs/a.pem', other.key + other.cert);
    write('certs/.c.pem', 'half a file');
    write('certs/README', 'no certificate');
    const config = load({ frontend: TLS });
    assert.deepEqual(warningsOf(config), []);
    assert.equal(config.l7.frontends[0].certificates, join(folder, 'certs'));
  });

  it('are read with the line ends of Windows, and written with those of Unix', () => {
    write('own.pem', `${good.cert}${good.key}`.replaceAll('\n', '\r\n'));
    const tls = 'tls: {server_name: a.example.com, ca_file: own.pem, certificate: own.pem}';
    const { tls: read } = load({ upstream: tls }).l7.upstreams[0];
    assert.equal(Buffer.from(read!.certificate!.pem.reveal()).toString(), good.cert + good.key);
    assert.equal(Buffer.from(read!.ca!.pem.reveal()).toString(), good.cert);
  });

  it('are missed when the directory is not there, is a file, or is empty', () => {
    assert.deepEqual(errorsOf({ frontend: TLS }), [
      `${FIELD}: "certs" has no *.pem file; expected one for each certificate: certificate, chain and key`,
    ]);
    rmSync(join(folder, 'certs'), { recursive: true });
    assert.deepEqual(errorsOf({ frontend: TLS }), [`${FIELD}: "certs" cannot be read: it does not exist`]);
    write('certs', good.cert + good.key);
    assert.deepEqual(errorsOf({ frontend: TLS }), [`${FIELD}: "certs" cannot be read: not a directory`]);
  });

  it('are refused without a certificate, without a key, and with two keys', () => {
    const expected = 'expected certificate, chain and one private key in PEM';
    assert.deepEqual(errors('a.pem', good.key), [
      `${FIELD}: "certs/a.pem": it has no certificate; ${expected}`,
    ]);
    assert.deepEqual(errors('a.pem', good.cert), [
      `${FIELD}: "certs/a.pem": it has no private key; ${expected}`,
    ]);
    assert.deepEqual(errors('a.pem', good.cert + good.key + other.key), [
      `${FIELD}: "certs/a.pem": it has 2 private keys; ${expected}`,
    ]);
  });

  it('are refused with the key of another certificate', () => {
    assert.deepEqual(errors('a.pem', good.cert + other.key), [
      `${FIELD}: "certs/a.pem": its private key does not belong to its first certificate`,
    ]);
    assert.deepEqual(errors('a.pem', other.cert + good.cert + good.key), [
      `${FIELD}: "certs/a.pem": its private key does not belong to its first certificate`,
    ]);
  });

  it('are refused with a passphrase, in both writings', () => {
    const encrypt = (...args: string[]): string =>
      execFileSync('openssl', [...args, '-passout', 'pass:x'], {
        input: good.key,
        encoding: 'utf8',
        stdio: 'pipe',
      });
    for (const key of [encrypt('pkcs8', '-topk8'), encrypt('ec', '-aes128')])
      assert.deepEqual(errors('a.pem', good.cert + key), [
        `${FIELD}: "certs/a.pem": its private key has a passphrase; expected a key without one`,
      ]);
  });

  it('are refused when a part cannot be read', () => {
    const broken = good.cert.replace(/\n[^-\n]{20}/, '\n');
    assert.deepEqual(errors('a.pem', good.cert + broken + good.key), [
      `${FIELD}: "certs/a.pem": a certificate in it cannot be read`,
    ]);
    assert.deepEqual(errors('a.pem', good.cert + good.key.replace(/\n[^-\n]{20}/, '\n')), [
      `${FIELD}: "certs/a.pem": its private key cannot be read`,
    ]);
  });

  it('are refused with an RSA key that OpenSSL refuses', () => {
    const both = execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:1024', '-noenc', '-keyout', '-', '-subj', '/CN=a'],
      { encoding: 'utf8', stdio: 'pipe' },
    );
    assert.deepEqual(errors('a.pem', both), [
      `${FIELD}: "certs/a.pem": its private key is RSA of 1024 bits; expected 2048 bits at least`,
    ]);
  });

  it('are all judged, and each fault is told', () => {
    write('certs/a.pem', good.cert);
    write('certs/b.pem', good.cert + good.key);
    mkdirSync(join(folder, 'certs/c.pem'));
    write('certs/d.pem', 'x'.repeat(64 * 1024 + 1));
    assert.deepEqual(
      errorsOf({ frontend: TLS }).map((text) => text.replace(/^.*?: /, '')),
      [
        '"certs/a.pem": it has no private key; expected certificate, chain and one private key in PEM',
        '"certs/c.pem": this is a directory; expected a file',
        '"certs/d.pem": the file is too large; expected 65536 bytes at most',
      ],
    );
  });

  it('are refused as a whole when there are too many', () => {
    for (let i = 0; i <= 4096; i++) write(`certs/${i}.pem`, '');
    assert.deepEqual(errorsOf({ frontend: TLS }), [
      `${FIELD}: "certs" has 4097 certificates; expected 4096 at most`,
    ]);
  });

  it('that have expired are told of, with the day', () => {
    const old = makeCertificate('DNS:old.example.com', -1);
    write('certs/a.pem', old.cert + old.key);
    const [warning, ...others] = warnings({ frontend: TLS });
    assert.deepEqual(others, []);
    assert.match(
      warning,
      /^l7\.frontends\.web\.certificates: "certs\/a\.pem" has expired \([\d: -]+\): it is refused$/,
    );
  });

  it('that every user can read are told of', () => {
    write('certs/a.pem', good.cert + good.key, 0o644);
    assert.deepEqual(warnings({ frontend: TLS }), [
      `${FIELD}: "certs/a.pem" holds a private key, and every user can access it; run chmod 600 on it`,
    ]);
  });

  it('and hosts of routes that do not meet are told of', () => {
    write('certs/a.pem', good.cert + good.key);
    write('certs/b.pem', other.cert + other.key);
    const hosts = (...names: string[]): string[] =>
      warnings({ frontend: TLS, routes: names.map((name) => `{host: "${name}", to: shop}`) });
    const missing = (names: string): string =>
      `l7.frontends.web.routes[0].host: no certificate in "certs" is for ${names}: clients refuse the one that they get instead`;
    const idle = (names: string): string => `${FIELD}: no route is for a host of ${names}`;
    const A = '"certs/a.pem" (shop.example.com, *.shop.example.com)';
    const B = '"certs/b.pem" (other.example.com)';
    assert.deepEqual(hosts('shop.example.com', 'Other.example.com'), []);
    assert.deepEqual(hosts('*.example.com'), []);
    assert.deepEqual(hosts('a.shop.example.com', '*.example.com'), []);
    assert.deepEqual(hosts('*.shop.example.com', 'other.example.com'), []);
    assert.deepEqual(hosts('a.b.shop.example.com', 'shop.example.com', 'other.example.com'), [
      missing('a.b.shop.example.com'),
    ]);
    assert.deepEqual(hosts('*.a.shop.example.com', 'shop.example.com'), [
      idle(B),
      missing('*.a.shop.example.com'),
    ]);
    assert.deepEqual(hosts('example.com'), [idle(`${A}, ${B}`), missing('example.com')]);
  });

  it('need no route of their own where a route is for all hosts', () => {
    write('certs/a.pem', good.cert + good.key);
    assert.deepEqual(warnings({ frontend: TLS }), []);
  });
});

describe('authorities', () => {
  const client = (text: string): L7Parts => {
    write('ca.pem', text);
    write('certs/a.pem', good.cert + good.key);
    return { frontend: `${TLS}\nclients: {ca_file: ca.pem}` };
  };
  const server: L7Parts = {
    upstream: 'tls: {server_name: a.example.com, ca_file: ca.pem, certificate: own.pem}',
  };

  it('of clients and servers, and the certificate for servers, come with the config', () => {
    write('own.pem', good.cert + good.key);
    const { l7 } = load({ ...client(`# two\n${good.cert}${other.cert}`), ...server });
    const text = (pem: { pem: { reveal(): Uint8Array } } | undefined) =>
      Buffer.from(pem!.pem.reveal()).toString();
    assert.equal(text(l7.frontends[0].clientsCa), `${good.cert.trim()}\n${other.cert.trim()}\n`);
    assert.equal(l7.frontends[0].clientsCa?.path, join(folder, 'ca.pem'));
    assert.equal(text(l7.upstreams[0].tls?.ca), `${good.cert.trim()}\n${other.cert.trim()}\n`);
    assert.equal(text(l7.upstreams[0].tls?.certificate), `${good.cert.trim()}\n${good.key.trim()}\n`);
    assert.equal(l7.upstreams[0].tls?.serverName, 'a.example.com');
    assert.ok(!inspect(l7, { depth: null }).includes('PRIVATE'), 'the key shows');
  });

  it('are refused when there are none, or one cannot be read', () => {
    const field = 'l7.frontends.web.clients.ca_file';
    assert.deepEqual(errorsOf(client(good.key)), [
      `${field}: "ca.pem": it has no certificate; expected certificates in PEM`,
    ]);
    assert.deepEqual(errorsOf(client(good.cert.replace(/\n[^-\n]{20}/, '\n'))), [
      `${field}: "ca.pem": a certificate in it cannot be read; expected certificates in PEM`,
    ]);
    rmSync(join(folder, 'ca.pem'));
    rmSync(join(folder, 'own.pem'), { force: true });
    assert.deepEqual(errorsOf(server), [
      'l7.upstreams.shop.tls.ca_file: "ca.pem": no such file; check the path',
      'l7.upstreams.shop.tls.certificate: "own.pem": no such file; check the path',
    ]);
  });

  it('and a certificate for servers that has expired is told of', () => {
    const old = makeCertificate('DNS:old.example.com', -1);
    write('ca.pem', good.cert);
    write('own.pem', old.cert + old.key);
    assert.match(
      warnings(server).join('\n'),
      /^l7\.upstreams\.shop\.tls\.certificate: "own\.pem" has expired \([\d: -]+\): it is refused$/,
    );
  });
});

describe('the subkey', () => {
  const withFile = (text: string, mode = 0o600): L7Parts => {
    write('key', text, mode);
    return { fields: 'key_file: key' };
  };

  it('comes from its file, and shows nowhere', () => {
    const { l7 } = load(withFile(`${SUBKEY}\n`));
    assert.equal(Buffer.from(l7.key!.reveal()).toString('hex'), SUBKEY);
    for (const text of [inspect(l7, { depth: null, showHidden: true }), JSON.stringify(l7)])
      assert.ok(!text.toLowerCase().includes(SUBKEY.slice(0, 8)), text);
  });

  it('is refused at another length, without a word about its digits', () => {
    const expected = 'expected the subkey of the tier, 64 hexadecimal digits: "anyhop l7 key" prints it';
    assert.deepEqual(errorsOf(withFile(SUBKEY.slice(0, 32))), [
      `l7.key_file: "key" holds 32 hexadecimal digits; ${expected}`,
    ]);
    assert.deepEqual(errorsOf(withFile(`${SUBKEY.slice(1)}g`)), [
      `l7.key_file: "key" holds 64 characters, not all of them hexadecimal digits; ${expected}`,
    ]);
    rmSync(join(folder, 'key'));
    assert.deepEqual(errorsOf({ fields: 'key_file: key' }), [
      'l7.key_file: "key": no such file; "anyhop l7 key" makes it, on a host that has the secret of the fleet',
    ]);
  });

  it('that every user can read is told of', () => {
    assert.deepEqual(warnings(withFile(SUBKEY, 0o604)), [
      'l7.key_file: "key" holds the subkey of the tier, and every user can access it; run chmod 600 on it',
    ]);
  });

  it('is not the secret of the fleet', () => {
    const head = (node: string): string =>
      l7Text({ fields: '' })
        .replace(/^node: .*/, `node: {interface: eth0, source: 10.0.0.1, ${node}}`)
        .replace(/l7:[\s\S]*/, '');
    const secret =
      'l7.key_file: found the secret of the fleet (node.key_file), which proxy hosts must not have; expected the subkey of the tier: "anyhop l7 key" prints it';
    write('key', SUBKEY);
    assert.deepEqual(errorsOf({ head: head('key_file: key'), fields: 'key_file: ./key' }), [secret]);
    assert.deepEqual(errorsOf({ head: head(`key: ${SUBKEY}`), fields: `key: ${SUBKEY.toUpperCase()}` }), [
      secret.replaceAll('key_file', 'key'),
    ]);
  });

  it('is missed where certificates need it, and not read by other roles', () => {
    write('certs/a.pem', good.cert + good.key);
    assert.deepEqual(errorsOf({ fields: '', frontend: TLS }), [
      'l7.key_file: missing, and session tickets need the same subkey on every proxy host; expected the path of its file: "anyhop l7 key" prints it',
    ]);
    const text = l7Text({ fields: 'key_file: nowhere', frontend: TLS.replace('certs', 'nowhere') });
    const { l7 } = parseConfig(text, join(folder, 'anyhop.yaml'), { role: 'agent', env: {} });
    assert.equal(l7?.key, undefined);
    assert.equal(l7?.frontends[0].certificates, join(folder, 'nowhere'));
  });
});
