/** `anyhop l7 check` and `anyhop l7 render`, run as a user runs them, with a HAProxy that is real, and with one that only counts. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeCertificate } from '../health/servers.js';
import { missingForIsolation } from '../isolation.js';
import { withoutHaproxy } from '../l7/haproxy-fixture.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const EACH = fileURLToPath(new URL('l7-check-each.js', import.meta.url));
const HAPROXY = '/usr/sbin/haproxy';
const NOBODY = 65_534;
const SUBKEY = 'ab12cd34'.repeat(8);
/** Of the full example, whose proxy hosts are elsewhere. */
const ELSEWHERE = 'addresses, ports and limits of a proxy host: this host is no backend of their pools';

let folder: string;
let good: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-l7-cli-'));
  chmodSync(folder, 0o755);
  const { cert, key } = makeCertificate('DNS:*.example.com');
  mkdirSync(join(folder, 'full-certificates'));
  writeFileSync(join(folder, 'full-certificates/edge.pem'), cert + key, { mode: 0o600 });
  writeFileSync(join(folder, 'full-ca.pem'), cert);
  writeFileSync(join(folder, 'full-l7.key'), SUBKEY, { mode: 0o600 });
  good = readFileSync(new URL('../../../test/config/full-l7.yaml', import.meta.url), 'utf8');
});
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** @param before a command before it */
function anyhop(args: readonly string[], before: readonly string[] = []) {
  const [program = '', ...rest] = [...before, process.execPath, MAIN, 'l7', ...args];
  const env = { PATH: process.env['PATH'] };
  const { status, stdout, stderr } = spawnSync(program, rest, { encoding: 'utf8', env });
  return { status, stdout, stderr };
}

/** The outcome for each file, with a HAProxy that only writes down that it was called. */
function checkEach(files: readonly string[]): { readonly status: number; readonly message: string }[] {
  const mounted = `mount --bind ${folder}/haproxy ${HAPROXY} && exec "$@"`;
  const [program = '', ...rest] = [
    'unshare',
    '-m',
    'sh',
    '-c',
    mounted,
    'sh',
    process.execPath,
    EACH,
    ...files,
  ];
  const text = execFileSync(program, rest, { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Each with what is found in the place of what, and how the error begins behind the place. */
const WRONG: readonly (readonly [from: string | RegExp, to: string, error: RegExp])[] = [
  [
    'services: [https]',
    'services: [htps]',
    /edge\.services\[0\]: found "htps", which is not a service; did you mean "https"\?$/,
  ],
  [
    'services: [https]',
    'services: [https, http]',
    /edge\.redirect_from\[0\]: the service "http" is taken already \(line \d+\)/,
  ],
  [
    'certificates: full-certificates',
    'certificates: nowhere',
    /edge\.certificates: "\S+nowhere" cannot be read: it does not exist$/,
  ],
  [
    'certificates: full-certificates',
    'certificates: full-ca.pem',
    /edge\.certificates: "\S+" cannot be read: not a directory$/,
  ],
  [
    /certificates: full-certificates.*/,
    '',
    /edge\.redirect_from: found without certificates; a redirect to https needs TLS/,
  ],
  [
    'key_file: full-l7.key',
    'key_file: full-ca.pem',
    /l7\.key_file: "\S+" holds \d+ characters, .*; expected the subkey of the tier, 64 hexadecimal digits/,
  ],
  [
    /key_file: full-l7.key.*/,
    '',
    /l7\.key_file: missing, and session tickets need the same subkey on every proxy host; expected the path/,
  ],
  ['user: haproxy', 'user: root', /l7\.user: found root; expected an ordinary user/],
  ['run_dir: /run/anyhop/l7', 'run_dir: run', /l7\.run_dir: found "run"; expected an absolute path/],
  ['health_port: 9612', 'health_port: 9611', /l7\.health_port: found 9611, the port on which agents report/],
  ['drain_deadline: 5m', 'drain_deadline: 5', /l7\.drain_deadline: found 5; expected a time with its unit/],
  [
    'access_log: stdout',
    'access_log: syslog',
    /l7\.access_log: found "syslog"; expected stdout, off, or the absolute path/,
  ],
  [
    'thumbprint: cn',
    'thumbprint: n',
    /l7\.acme\.thumbprint: found .*; expected a JWK thumbprint, 43 characters/,
  ],
  ['per: 10s', 'per: 10', /edge\.client_rate\.per: found 10; expected a time with its unit/],
  [
    'remove: [server]',
    'remove: [te]',
    /edge\.headers\.response\.remove\[0\]: found "te", which the proxy hosts and HTTP itself set/,
  ],
  [
    'x-served-by: anyhop',
    'x-served-by: "a\\r\\nb: c"',
    /headers\.response\.set\.x-served-by: found .*; expected printable ASCII text/,
  ],
  [
    'set: { x-tier: "7" }',
    'set: { X-Edge: a }',
    /headers\.request\.set\.X-Edge: found the header "X-Edge", which line \d+ sets or removes already/,
  ],
  ['hsts: 1y', 'hsts: 1 year', /edge\.hsts: found "1 year"; expected a time with its unit/],
  [
    'clients: { ca_file: full-ca.pem }',
    'clients: { ca_file: full-l7.key }',
    /edge\.clients\.ca_file: "\S+": it has no certificate/,
  ],
  [
    'host: api.example.com',
    'host: "https://api.example.com"',
    /routes\[0\]\.host: found .*; expected a host name without port/,
  ],
  ['path: /v1/', 'path: "/v1/%[src]"', /routes\[0\]\.path: found .*; expected a path that starts with/],
  ['status: 301', 'status: 200', /routes\[2\]\.status: found 200; expected 301, 302, 303, 307 or 308$/],
  [
    'redirect: "https://shop.example.com"',
    'redirect: "https://old.example.com"',
    /routes\[2\]\.redirect: redirects in a circle/,
  ],
  [
    /- \{ to: shop \}/,
    '- { to: shop }\n        - { to: beta }',
    /routes\[4\]: no request gets here: the route of line \d+ has the same host and path/,
  ],
  [
    /- \{ to: shop \}/,
    '- { to: shopp }',
    /routes\[3\]\.to: found "shopp", which is not an upstream; did you mean "shop"\?$/,
  ],
  [
    /hash_on: .*/,
    '',
    /upstreams\.shop\.hash_on: missing; expected \{header: NAME\}, \{cookie: NAME\}, path or source/,
  ],
  ['timeout: 1s', 'timeout: 3s', /shop\.health\.timeout: found 3s; expected the interval, 2s, at most$/],
  ['panic_threshold: 50%', 'panic_threshold: 50', /shop\.panic_threshold: found 50; expected a share/],
  [
    'tls: { server_name: shop.internal, ca_file: full-ca.pem, certificate: full-certificates/edge.pem }',
    'tls: { server_name: shop.internal, certificate: full-ca.pem }',
    /shop\.tls\.certificate: "\S+": it has no private key/,
  ],
  [
    'address: 10.2.0.11',
    'address: shop-1.internal',
    /servers\[0\]\.address: found "shop-1\.internal"; expected an IPv4 or IPv6 address$/,
  ],
  [
    'weight: 2, state: active',
    'weight: 300, state: active',
    /servers\[0\]\.weight: found 300; expected a whole number, 0 to 256$/,
  ],
  [
    'name: shop-2',
    'name: shop-1',
    /servers\[1\]\.name: the server name "shop-1" is taken already \(line \d+\)/,
  ],
];

describe('anyhop l7 check', () => {
  it('tells wrong configs by line and field, with what is accepted, and asks HAProxy about none of them', {
    skip: missingForIsolation('unshare') || withoutHaproxy,
    timeout: 300_000,
  }, () => {
    const calls = write('calls', '');
    chmodSync(calls, 0o666); // HAProxy's user runs it
    chmodSync(write('haproxy', `#!/bin/sh\necho "$@" >>${calls}\n`), 0o755);
    const files = WRONG.map(([from, to], index) => {
      const text = good.replace(from, () => to);
      assert.notEqual(text, good, String(from));
      return write(`wrong-${index}.yaml`, text);
    });
    assert.ok(files.length >= 30);
    const wrong = checkEach(files);
    for (const [index, { status, message }] of wrong.entries()) {
      const [, to, error] = WRONG[index];
      assert.equal(status, 2, to);
      const lines = message.split('\n');
      for (const line of lines) assert.match(line, /^\S+\/wrong-\d+\.yaml:[1-9]\d*:[1-9]\d*: l7\.\S+: /);
      assert.ok(
        lines.some((line) => error.test(line)),
        `no ${error} in\n${message}`,
      );
    }
    assert.equal(wrong.length, WRONG.length);
    assert.equal(readFileSync(calls, 'utf8'), '', 'HAProxy was asked');
    assert.deepEqual(checkEach([write('good.yaml', good)]), [{ status: 3, message: '' }]);
    assert.match(
      readFileSync(calls, 'utf8'),
      /^-c -L anyhop -f \S+\/haproxy\.cfg\n$/,
      'a good one is asked about',
    );
  });

  it('has HAProxy judge a good config, says what this host could not tell, and leaves nothing behind', {
    skip: withoutHaproxy,
  }, () => {
    const own = mkdtempSync(join(folder, 'tmp-'));
    chmodSync(own, 0o711);
    const { status, stdout, stderr } = anyhop(
      ['check', '-c', write('good.yaml', good)],
      ['env', `TMPDIR=${own}`],
    );
    assert.deepEqual([status, stderr], [3, '']);
    const expected = [
      `${folder}/good.yaml: nothing wrong found`,
      '',
      'layer 7, on the proxy hosts',
      '  frontend edge  4 routes   TLS on https, client certificates, redirected to from http',
      '  upstream shop  2 servers  by hash, 1 draining, checked by http every 2s, TLS to shop.internal, sticky by SRV',
      '  upstream api   1 server   by least_connections, checked by tcp every 2s',
      '  upstream beta  1 server   by least_connections, checked by tcp every 2s',
      '',
      'not looked at',
      `  ${ELSEWHERE}`,
    ];
    assert.deepEqual(stdout.trimEnd().split('\n'), expected);
    assert.deepEqual(readdirSync(own), []);
  });

  it('shows what HAProxy refuses at the field of the config', { skip: withoutHaproxy }, () => {
    mkdirSync(join(folder, 'weak'));
    writeFileSync(join(folder, 'weak/weak.pem'), weakCertificate(), { mode: 0o600 });
    const text = good.replace('certificates: full-certificates', 'certificates: weak');
    const file = write('weak.yaml', text);
    const { status, stdout, stderr } = anyhop(['check', '-c', file]);
    const line = text.split('\n').findIndex((one) => one.includes('certificates: weak')) + 1;
    assert.deepEqual([status, stdout], [2, '']);
    assert.ok(stderr.startsWith(`${file}:${line}:21: l7.frontends.edge.certificates: `), stderr);
    assert.match(stderr, /unable to load SSL certificate into SSL Context 'certs\/edge\/weak\.pem'/);
  });

  it('says of a user that is not there where it stands', {
    skip: withoutHaproxy || missingForIsolation(),
  }, () => {
    const { status, stderr } = anyhop([
      'check',
      '-c',
      write('user.yaml', good.replace('user: haproxy', 'user: nobody-here')),
    ]);
    assert.equal(status, 2);
    assert.match(stderr, /user\.yaml:\d+:9: l7\.user: there is no user nobody-here for HAProxy to run as; /);
  });

  it('of an ordinary user does what it can, and lists what it may not read', {
    skip: missingForIsolation('setpriv'),
  }, () => {
    const user = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'];
    const file = write('good.yaml', good);
    const { status, stdout, stderr } = anyhop(['check', '--json', '-c', file], user);
    assert.deepEqual([status, stderr], [3, '']);
    const { ok, warnings, unseen, summary } = JSON.parse(stdout);
    assert.deepEqual([ok, warnings], [true, []]);
    assert.equal(summary.upstreams[0].servers, 2);
    const permission = 'no permission to read this file; run as its owner or root, or change its mode';
    assert.deepEqual(
      (unseen as string[]).map((text) => text.replace(/^\S+:\d+:\d+: /, '').replaceAll(`${folder}/`, '')),
      [
        `l7.key_file: "full-l7.key": ${permission}`,
        `l7.frontends.edge.certificates: "full-certificates/edge.pem": ${permission}`,
        `l7.upstreams.shop.tls.certificate: "full-certificates/edge.pem": ${permission}`,
        ELSEWHERE,
        'what HAProxy says: it needs these files',
      ],
    );
    const wrong = anyhop(
      ['check', '--json', '-c', write('wrong.yaml', good.replace('user: haproxy', 'user: root'))],
      user,
    );
    assert.equal(wrong.status, 2);
    assert.equal(JSON.parse(wrong.stdout).problems[0].field, 'l7.user');
  });
});

/** Of an authority that signs with SHA-1, which OpenSSL refuses as Debian configures it, with its key. */
function weakCertificate(): string {
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'rsa:2048', '-noenc', '-keyout'];
  openssl('req', '-x509', ...key, at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=ca');
  openssl('req', ...key, at('weak.key'), '-out', at('weak.csr'), '-subj', '/CN=a.example.com');
  openssl(
    'x509',
    '-req',
    '-sha1',
    '-in',
    at('weak.csr'),
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-out',
    at('weak.crt'),
  );
  return readFileSync(at('weak.crt'), 'utf8') + readFileSync(at('weak.key'), 'utf8');
}

describe('anyhop l7 render', () => {
  it('prints what HAProxy would read, without secrets, and names the other files', () => {
    const { status, stdout, stderr } = anyhop(['render', '-c', write('good.yaml', good)]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^frontend f_edge$/m);
    assert.match(
      stdout,
      /^ {2}bind 203\.0\.113\.20:443 ssl crt-list \/run\/anyhop\/l7\/current\/lists\/edge /m,
    );
    assert.match(stdout, /^ {2}dynamic-cookie-key \[secret\]$/m);
    assert.match(stdout, /^# {3}certs\/edge\/edge\.pem$/m);
    assert.doesNotMatch(stdout, /[0-9a-f]{40}|PRIVATE/);
  });

  it('writes all files for its user alone, such that HAProxy accepts them, and never over others', {
    skip: withoutHaproxy,
  }, () => {
    const file = write('good.yaml', good);
    const output = join(folder, 'rendered');
    const written = anyhop(['render', '-c', file, '--output', output]);
    assert.deepEqual(written, { status: 0, stdout: `${output}/haproxy.cfg\n`, stderr: '' });
    assert.equal(statSync(output).mode & 0o777, 0o700);
    for (const name of ['haproxy.cfg', 'certs/edge/edge.pem', 'tickets/edge', 'panic.map'])
      assert.equal(statSync(join(output, name)).mode & 0o777, 0o600, name);
    assert.match(readFileSync(join(output, 'haproxy.cfg'), 'utf8'), /dynamic-cookie-key [0-9a-f]{64}\n/);
    execFileSync(HAPROXY, ['-c', '-f', join(output, 'haproxy.cfg')], { stdio: 'pipe' });
    const before = readdirSync(output);
    const again = anyhop(['render', '-c', file, '--output', output]);
    assert.equal(again.status, 3);
    assert.match(again.stderr, /rendered cannot be written: file already exists/);
    assert.deepEqual(readdirSync(output), before);
    assert.equal(anyhop(['render', '-c', file, '--output', join(folder, 'a b')]).status, 2);
  });

  it('of an ordinary user prints what it can, and writes nothing that it may not read', {
    skip: missingForIsolation('setpriv'),
  }, () => {
    const user = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'];
    const file = write('good.yaml', good);
    const { status, stdout, stderr } = anyhop(['render', '-c', file], user);
    assert.equal(status, 0);
    const config = (text: string): string => text.slice(0, text.indexOf('\n# and '));
    assert.equal(config(stdout), config(anyhop(['render', '-c', file]).stdout));
    assert.match(stderr, /^not read: \S+: l7\.key_file: .*no permission/);
    const refused = anyhop(['render', '-c', file, '--output', '/tmp/anyhop-l7-cli-never'], user);
    assert.equal(refused.status, 2);
    assert.ok(!existsSync('/tmp/anyhop-l7-cli-never'));
  });
});
