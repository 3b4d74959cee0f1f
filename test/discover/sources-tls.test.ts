/** Sources over HTTPS, before a server in this process with certificates of the test's own authorities: good ones are taken, and others are named. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseConfig } from '#anyhop/config/load.js';
import type { Source } from '#anyhop/discover/answer.js';
import { sourceOf } from '#anyhop/discover/sources/sources.js';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { isInstalled } from '../isolation.js';

const ANSWERS: Readonly<Record<string, unknown>> = {
  http: [{ name: 'n1', address: '10.1.0.1' }],
  consul: [
    { Node: { Node: 'n1', Address: '10.1.0.1' }, Service: { ID: 'web', Service: 'web', Address: '' } },
  ],
  kubernetes: {
    metadata: {},
    items: [{ addressType: 'IPv4', endpoints: [{ addresses: ['10.1.0.1'], targetRef: { name: 'n1' } }] }],
  },
};

describe('sources over HTTPS', { skip: isInstalled('openssl') ? false : 'needs openssl' }, () => {
  let directory: string;
  let ours: Authority;
  let others: Authority;
  let server: Server;
  let url: string;
  let body = '';

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'anyhop-sources-tls-'));
    [ours, others] = await Promise.all([createAuthority(directory), createAuthority(directory, 'other')]);
    const at = (name: string): string => join(directory, `${name}.pem`);
    await Promise.all([
      ours.serverCertificate(at('good'), ['127.0.0.1']),
      ours.serverCertificate(at('elsewhere'), ['consul.example.com', '10.0.0.5']),
      others.serverCertificate(at('stranger'), ['127.0.0.1']),
    ]);
    writeFileSync(at('expired'), `${expired(at('good'))}${readFileSync(at('good'), 'utf8')}`);
    server = createServer((_, response) => void response.end(body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });

  /** For the same key as another one, and for yesterday: `openssl req` makes none. */
  function expired(good: string): string {
    const openssl = (args: readonly string[], input = ''): string =>
      execFileSync('openssl', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
    const request = openssl([
      'req',
      '-new',
      '-key',
      good,
      '-subj',
      '/CN=expired',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    ]);
    const signer = join(directory, 'ca.key');
    const by = ['-CA', signer, '-CAkey', signer, '-set_serial', '1'];
    return openssl(['x509', '-req', '-days', '-1', '-copy_extensions', 'copy', ...by], request);
  }

  function show(certificate: string): void {
    const pem = readFileSync(join(directory, `${certificate}.pem`));
    server.setSecureContext({ key: pem, cert: pem }); // of several certificates the first counts
  }

  function source(kind: string, caFile: string | undefined): Source {
    const where = {
      http: { url: `${url}/web.json` },
      consul: { url, service: 'web' },
      kubernetes: { url, namespace: 'default', service: 'web' },
    }[kind];
    const from = { [kind]: { ...where, ...(caFile !== undefined && { ca_file: caFile }) } };
    const pool = {
      backends_from: { ...from, allowed_addresses: ['10.0.0.0/8'] },
      backends: [{ name: 'a', address: '10.0.0.1' }],
    };
    const { pools } = parseConfig(JSON.stringify({ pools: { web: pool } }), 'test', { role: 'pools' });
    body = JSON.stringify(ANSWERS[kind]);
    return sourceOf('pool', pools[0]!.backendsFrom!);
  }

  const ask = (kind: string, caFile: string | undefined = ours.file) =>
    source(kind, caFile).ask(new AbortController().signal);

  for (const kind of Object.keys(ANSWERS)) {
    test(`${kind} takes the answer of a server whose certificate is signed by ca_file, and is for its address`, async () => {
      show('good');
      assert.deepEqual(
        (await ask(kind)).found.map(({ name, address }) => [name, address]),
        [['n1', '10.1.0.1']],
      );
    });

    test(`${kind} says what is wrong with any other certificate`, async () => {
      for (const [certificate, why] of [
        ['stranger', /: its certificate is not signed by an authority of ca_file \(.*\/ca\.pem\)$/],
        ['expired', /: its certificate, or that of its authority, has expired$/],
        [
          'elsewhere',
          /: its certificate is for DNS:consul\.example\.com, IP Address:10\.0\.0\.5, and not for 127\.0\.0\.1$/,
        ],
      ] as const) {
        show(certificate);
        await assert.rejects(ask(kind), why, certificate);
      }
    });
  }

  test('without ca_file, only well-known authorities are trusted; and ca_file must hold a certificate', async () => {
    show('good');
    const known = source('http', undefined);
    await assert.rejects(
      known.ask(new AbortController().signal),
      /signed by no well-known authority; name the file/,
    );
    const empty = join(directory, 'empty.pem');
    writeFileSync(empty, 'nothing\n');
    await assert.rejects(ask('http', empty), {
      message: `${empty}: it has no readable certificate; expected certificates in PEM`,
    });
  });
});
