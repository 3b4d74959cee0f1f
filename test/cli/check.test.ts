/** `anyhop check` and `anyhop schema`, run as a user runs them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const FULL = fileURLToPath(new URL('../../../test/config/full.yaml', import.meta.url));
const FULL_L7 = fileURLToPath(new URL('../../../test/config/full-l7.yaml', import.meta.url));
const KEY = '00112233445566778899aabbccddeeff';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-check-'));
});
after(() => rmSync(folder, { recursive: true }));

function anyhop(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
  });
  return { status, stdout, stderr };
}

const bad = () => {
  const file = join(folder, 'bad.yaml');
  writeFileSync(file, 'pools:\n  web:\n    backends:\n      - {name: a, adress: 10.1.0.1}\n');
  return file;
};

describe('anyhop check', () => {
  it('takes a file of a fleet without the backends that a source finds, and no file of a node alone', () => {
    const file = join(folder, 'fleet.yaml');
    const text = `node: { name: edge-1, source: 10.0.0.1, key: ${KEY} }
pools: { web: { backends_from: { file: /x, allowed_addresses: [10.1.0.0/16] } } }
services: [{ name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web }]
`;
    const operatorKey = Buffer.alloc(32, 7).toString('base64');
    writeFileSync(
      file,
      `${text}fleet: { name: edge, endpoints: ["https://10.0.0.9:2379"], operator_key: "${operatorKey}" }\n`,
      { mode: 0o600 },
    );
    const { status, stdout } = anyhop(['check', '-c', file]);
    assert.equal(status, 0);
    assert.match(stdout, /^pool web: 0 backends from a source, 65537 slots$/m);
    assert.doesNotMatch(stdout, /no backend/);
    writeFileSync(file, text);
    assert.match(
      anyhop(['check', '-c', file]).stderr,
      /pools\.web\.backends: missing, and nothing is known here/,
    );
  });

  it('prints what the node would do, and ends with 0', () => {
    const { status, stdout, stderr } = anyhop(['check', '-c', FULL]);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    for (const line of [
      /^.+full\.yaml: good$/m,
      /^node edge-1: interface eth0, engine auto$/m,
      /^ {2}GRE from 10\.0\.0\.0\/28 and fd00::1$/m,
      /^ {2}metrics and dashboard on https:\/\/127\.0\.0\.1:9612 for clients with a certificate and a password$/m,
      /^ {2}siblings: edge-2$/m,
      /^announced by "anyhop announce", if it runs: 203\.0\.113\.10, /m,
      /^ {2}rows in table \d+, metric \d+, \d+ while the node stops/m,
      /^pool web: 4 backends, 65537 slots, all count as up below 50 % up$/m,
      /^ {2}web-2 +10\.1\.0\.12 +weight 2 +active +50 % by weight +agent$/m,
      /^ {2}web-3 +fd00:0:0:1::13 +weight 1 +draining +0 % by weight +agent$/m,
      /^ {2}checked by https, port 443 \/healthz, every 2s: down after 3 failures, up after 2 good ones$/m,
      /^ {2}and checked by tunnel, 203\.0\.113\.10 port 80, 2001:db8::10 port 80, every 500ms: down after 5 failures, up after 2 good ones$/m,
      /^ {2}up only when all 2 checks say so, given up 5m after going down$/m,
      /^ {2}checked by udp, port 53, every 2s: down after 3 failures, up after 2 good ones, given up 5m after going down$/m,
      /^defence\n {2}web, web-6\n {4}lists +enforce +allow 192\.0\.2\.0\/24, .*full-allow\.txt, block .*full-block\.txt/m,
      /^ {4}source rate +observe +an address \(IPv6: a \/64\) may send 50k packets and 500 SYNs in 1s, all of a \/24 \(IPv6: \/48\) 500k packets and 5k SYNs$/m,
      /^ {4}SYN cookies +enforce +auto$/m,
      /^ {2}games +203\.0\.113\.10 udp 8000-8999 +to pool web +by source +second chance off$/m,
    ]) {
      assert.match(stdout, line);
    }
    assert.ok(!stdout.includes(KEY.slice(0, 8)));
  });

  it('mentions the layer-7 tier, without the files that only proxy hosts have', () => {
    const { status, stdout, stderr } = anyhop(['check', '--agent', '-c', FULL_L7]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^layer 7, on the proxy hosts$/m);
    assert.match(
      stdout,
      /^ {2}frontend edge +4 routes +TLS on https, client certificates, redirected to from http$/m,
    );
    assert.match(stdout, /^ {2}upstream shop +2 servers +by hash, 1 draining, checked by http every 2s, /m);
    const { summary } = JSON.parse(anyhop(['check', '--agent', '--json', '-c', FULL_L7]).stdout);
    assert.deepEqual(summary.l7.frontends[0].redirectFrom, ['http']);
    assert.equal(summary.l7.upstreams[0].sticky, 'SRV');
  });

  it('prints every error with its place, and ends with 2', () => {
    const file = bad();
    const { status, stdout, stderr } = anyhop(['check', '--config', file]);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.deepEqual(stderr.trimEnd().split('\n'), [
      `${file}:1:1: node: missing; expected a mapping with this node: interface, source, key_file`,
      `${file}:1:1: services: missing; expected a list of services`,
      `${file}:4:9: pools.web.backends[0].address: missing; expected an IPv4 or IPv6 address`,
      `${file}:4:19: pools.web.backends[0].adress: unknown key "adress"; did you mean "address"?`,
    ]);
  });

  it('prints JSON for machines, good or bad', () => {
    const good = anyhop(['check', '--json', '-c', FULL]);
    const { ok, summary } = JSON.parse(good.stdout);
    assert.equal(ok, true);
    assert.deepEqual(summary.node.source, ['10.0.0.0/28', 'fd00::1']);
    assert.equal(summary.pools[0].backends[1].share, 0.5);
    assert.ok(!good.stdout.includes(KEY.slice(0, 8)));

    const { status, stdout } = anyhop(['check', '--json', '-c', bad()]);
    assert.equal(status, 2);
    const report = JSON.parse(stdout);
    assert.equal(report.ok, false);
    assert.deepEqual(Object.keys(report.problems[0]), ['file', 'line', 'column', 'field', 'message']);
  });

  it('takes name, interface and source from the command line and the environment, and the file from ANYHOP_CONFIG', () => {
    const env = { ANYHOP_CONFIG: FULL, ANYHOP_NODE_NAME: 'edge-7', ANYHOP_INTERFACE: 'eth7' };
    const args = ['check', '--json', '--interface', 'eth8', '--source', '10.0.0.8', '--source', 'fd00::8'];
    const { node } = JSON.parse(anyhop(args, env).stdout).summary;
    assert.deepEqual([node.name, node.interface, node.source], ['edge-7', 'eth8', ['10.0.0.8', 'fd00::8']]);
  });

  it('checks the file of an agent, which needs no node', () => {
    const file = join(folder, 'agent.yaml');
    writeFileSync(
      file,
      'pools: {web: {backends: [{name: a, address: 10.1.0.1}]}}\n' +
        'services: [{name: s, vip: 198.51.100.1, protocol: tcp, port: 80, pool: web}]\n' +
        'agent: {forwarders: [10.0.0.1]}\n',
    );
    assert.equal(anyhop(['check', '-c', file]).status, 2);
    const { status, stdout } = anyhop(['check', '--agent', '-c', file]);
    assert.equal(status, 0);
    assert.match(stdout, /^ {2}GRE accepted from 10\.0\.0\.1 and from backends$/m);
  });

  it('warns with file, line and field, and ends with 0', () => {
    const file = join(folder, 'doubtful.yaml');
    writeFileSync(
      file,
      'node: {interface: lo, source: 192.0.2.77, key: 00112233445566778899aabbccddeeff}\n' +
        'pools: {web: {backends: [{name: a, address: 127.0.0.1}]}}\n' +
        'services: [{name: s, vip: 198.51.100.1, protocol: tcp, port: 80, pool: web}]\n' +
        'agent: {forwarders: [10.0.0.1]}\n',
      { mode: 0o600 },
    );
    // An address of a loopback is refused as a backend; what this machine has is enough.
    const own = Object.values(networkInterfaces()).flatMap((all = []) =>
      all.filter(({ internal }) => !internal),
    );
    const ipv4 = own.find(({ family }) => family === 'IPv4');
    if (ipv4 !== undefined)
      writeFileSync(file, readFileSync(file, 'utf8').replace('127.0.0.1', ipv4.address));
    else writeFileSync(file, readFileSync(file, 'utf8').replace('127.0.0.1', '10.1.0.1'));
    const { status, stdout } = anyhop(['check', '-c', file]);
    assert.equal(status, 0, stdout);
    const warnings = stdout.slice(stdout.indexOf('\nwarnings\n'));
    const at = `${file}:1:`.replaceAll(/[.\\/]/g, '\\$&');
    assert.match(
      warnings,
      new RegExp(`${at}\\d+: node\\.source: 192\\.0\\.2\\.77 is outside agent\\.forwarders`),
    );
    assert.match(
      warnings,
      new RegExp(`${at}\\d+: node\\.source: 192\\.0\\.2\\.77 is not an address of this host`),
    );
    if (ipv4 !== undefined)
      assert.match(warnings, /:2:\d+: pools\.web\.backends\[0\]\.address: \S+ is an address of this host/);
  });

  it('reads the files of lists, and warns of what is wrong in them', () => {
    const file = join(folder, 'listed.yaml');
    writeFileSync(join(folder, 'good.txt'), '198.51.100.0/24\n');
    writeFileSync(join(folder, 'evil.txt'), '198.51.100.0/24\n10.0.0.1/8\n');
    const defend = 'defend: {block: [{file: good.txt}, {file: evil.txt}], allow: [{file: none.txt}]}\n';
    const node = `node: {name: edge-1, source: 10.0.0.1, key: ${KEY}}\n`;
    const pools = 'pools: {web: {backends: [{name: a, address: 10.1.0.1}]}}\n';
    const services = 'services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]\n';
    writeFileSync(file, node + pools + services + defend, { mode: 0o600 });
    const { status, stdout, stderr } = anyhop(['check', '-c', file]);
    assert.equal(status, 0, stderr);
    const warnings = stdout.slice(stdout.indexOf('\nwarnings\n'));
    assert.match(warnings, /listed\.yaml: defend\.allow: .*none\.txt: it does not exist\n/);
    assert.match(
      warnings,
      /listed\.yaml: defend\.block: .*evil\.txt:2: found "10\.0\.0\.1\/8"; expected .*10\.0\.0\.0\/8\n/,
    );
    assert.doesNotMatch(warnings, /good\.txt/);
  });

  it('ends with 2 for an option that does not exist, and for a file that is missing', () => {
    assert.equal(anyhop(['check', '--nope']).status, 2);
    const { status, stderr } = anyhop(['check', '-c', '/nowhere/anyhop.yaml']);
    assert.equal(status, 2);
    assert.equal(stderr, '/nowhere/anyhop.yaml: no such file; check the path\n');
  });

  const isConfigured = existsSync('/etc/anyhop/anyhop.yaml');
  it('says how to name a file when the default one is missing', {
    skip: isConfigured && 'needs a machine without /etc/anyhop/anyhop.yaml',
  }, () => {
    const { status, stderr } = anyhop(['check']);
    assert.equal(status, 2);
    assert.equal(
      stderr,
      '/etc/anyhop/anyhop.yaml: no such file; name the config file with -c FILE or ANYHOP_CONFIG\n',
    );
  });
});

describe('anyhop schema', () => {
  it('prints a JSON Schema', () => {
    const { status, stdout } = anyhop(['schema']);
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).$id, 'urn:anyhop:config:1');
  });
});
