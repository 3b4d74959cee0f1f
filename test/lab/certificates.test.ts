/** The tests' authority: what it signs is what it was asked for, trusted by those who trust it, and nobody else's to read. */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { isInstalled } from '../isolation.js';

const DAY_MS = 86_400_000;

describe('the authority for tests', { skip: !isInstalled('openssl') && 'needs openssl' }, () => {
  let directory: string;
  let authority: Authority;
  let ca: X509Certificate;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ah-ca-'));
    authority = await createAuthority(directory);
    ca = new X509Certificate(readFileSync(authority.file));
  });
  after(() => rmSync(directory, { recursive: true }));

  test("signs a server's certificate for all its names, with its key in the same file", async () => {
    const file = join(directory, 'shop.pem');
    const names = ['shop.example.com', '*.shop.example.com', '10.2.1.1', 'fd00:2:1::1'];
    const serial = await authority.serverCertificate(file, names, 3);
    const pem = readFileSync(file);
    const certificate = new X509Certificate(pem);
    assert.equal(certificate.serialNumber, serial);
    assert.ok(certificate.verify(ca.publicKey));
    assert.ok(certificate.checkPrivateKey(createPrivateKey(pem)));
    for (const name of ['shop.example.com', 'a.shop.example.com'])
      assert.ok(certificate.checkHost(name), name);
    for (const address of ['10.2.1.1', 'fd00:2:1::1']) assert.ok(certificate.checkIP(address), address);
    assert.equal(certificate.checkHost('bank.example.com'), undefined);
    const lastsMs = Date.parse(certificate.validTo) - Date.parse(certificate.validFrom);
    assert.equal(lastsMs, 3 * DAY_MS);
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  });

  test('renews a certificate in the same file, under another serial number and with another key', async () => {
    const file = join(directory, 'renewed.pem');
    const first = await authority.serverCertificate(file, ['a.example.com']);
    const before = readFileSync(file);
    const second = await authority.serverCertificate(file, ['a.example.com']);
    const renewed = new X509Certificate(readFileSync(file));
    assert.notEqual(second, first);
    assert.equal(renewed.serialNumber, second);
    assert.equal(renewed.checkPrivateKey(createPrivateKey(before)), false);
  });

  test("signs a client's certificate, which another authority did not", async () => {
    const file = join(directory, 'client.pem');
    await authority.clientCertificate(file, 'buyer');
    const certificate = new X509Certificate(readFileSync(file));
    assert.equal(certificate.subject, 'CN=buyer');
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
    const other = await createAuthority(directory, 'other');
    assert.equal(certificate.verify(new X509Certificate(readFileSync(other.file)).publicKey), false);
  });

  test('writes files that nobody else can read, and gives its own key to nobody', () => {
    for (const name of readdirSync(directory))
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    assert.doesNotMatch(readFileSync(authority.file, 'utf8'), /PRIVATE KEY/);
  });
});
