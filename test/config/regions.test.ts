/** Regions in the section `announce`: where a node finds itself, which files are read by whom, and which mistakes are told where. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { formatEndpoint } from '#anyhop/config/endpoint.js';
import { ConfigError } from '#anyhop/config/error.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { Role } from '#anyhop/config/types.js';
import { makeCertificate } from '../health/servers.js';

const BASE = `
pools: {web: {backends: [{name: web-1, address: 10.1.0.11, agent: false}]}}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: six, vip: "2001:db8::10", protocol: tcp, port: 80, pool: web}
  - {name: far, vip: 198.51.100.10, protocol: tcp, port: 80, pool: web}
  - {name: any, vip: 192.0.2.99, protocol: tcp, port: 80, pool: web}
`;
const REGIONS = `
  regions:
    eu:
      nodes: [{name: eu-1, address: 192.0.2.1}, {name: eu-2, address: "192.0.2.2:99", weight: 3}]
      vips: [{host: www, vip: 203.0.113.10}, {host: www, vip: "2001:db8::10"}]
      nets: [192.0.2.0/24]
    us:
      nodes: [{name: us-1, address: "[2001:db8::3]:9"}]
      vips: [{host: "@", vip: 198.51.100.10}]
`;
const NODE = `node: {interface: eth0, source: 10.0.0.1, key: ${'ab'.repeat(32)}}\n`;
const TLS = '  certificate: own.pem\n  ca_file: ca.pem\n  region_file: /run/regions\n';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-regions-'));
  const { cert, key } = makeCertificate('DNS:eu-2');
  writeFileSync(join(folder, 'own.pem'), cert + key);
  writeFileSync(join(folder, 'ca.pem'), cert);
  chmodSync(join(folder, 'own.pem'), 0o600);
});
after(() => rmSync(folder, { recursive: true }));

function load<R extends Role>(role: R, text: string, name = 'eu-2') {
  const env = { ANYHOP_NODE_NAME: name };
  return parseConfig(text, join(folder, 'anyhop.yaml'), { role, env, servesRegions: true });
}

function mistakes(role: Role, text: string, name?: string): string {
  try {
    load(role, text, name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems
      .map(({ field, message }) => `${field}: ${message.replaceAll(`${folder}/`, '')}`)
      .join('\n');
  }
  return '';
}

describe('regions in the config', () => {
  it('tell a node by its name in which region it is, and which VIPs are not its own to announce', () => {
    const text = `${BASE}announce:${REGIONS}`;
    const { announce } = load('announce', text);
    assert.deepEqual(announce.region, { name: 'eu', weight: 3 });
    assert.deepEqual(
      announce.vips.map((vip) => vip.text),
      ['203.0.113.10', '2001:db8::10', '192.0.2.99'],
    );
    assert.deepEqual(
      load('announce', text, 'us-1').announce.vips.map((vip) => vip.text),
      ['198.51.100.10', '192.0.2.99'],
    );
    assert.equal(
      mistakes('announce', text, 'eu-3'),
      'announce.regions: no region has a node of the name of this one, "eu-3"',
    );
  });

  it('have nodes with a port of their own, or the common one', () => {
    const { regions } = load('pools', `${BASE}announce:${REGIONS}`).announce;
    assert.deepEqual(
      regions.map(({ name, nodes }) => [name, ...nodes.map(({ address }) => formatEndpoint(address))]),
      [
        ['eu', '192.0.2.1:9613', '192.0.2.2:99'],
        ['us', '[2001:db8::3]:9'],
      ],
    );
    for (const wrong of ['192.0.2.1:0', '192.0.2.1:65536', '[192.0.2.1]:9', '"2001:db8::1]:9"', 'eu-1:9'])
      assert.match(
        mistakes(
          'pools',
          `${BASE}announce:${REGIONS.replace('192.0.2.1}', `"${wrong.replaceAll('"', '')}"}`)}`,
        ),
        /^announce\.regions\.eu\.nodes\[0\]\.address: found ".*"; expected an address with or without a port/,
      );
  });

  it('are all that the file of a DNS host needs', () => {
    const { announce, pools, warnings } = load('region', `announce:${REGIONS}${TLS}`);
    assert.equal(announce.regionFile, '/run/regions');
    assert.deepEqual(announce.regionReload, ['gdnsdctl', 'replace']);
    assert.match(Buffer.from(announce.tls.certificate.reveal()).toString(), /BEGIN PRIVATE KEY/);
    assert.doesNotMatch(inspect(announce, { depth: 9 }), /BEGIN|PRIVATE/);
    assert.deepEqual([pools, warnings], [[], []]);
    assert.equal(
      mistakes('region', 'announce: {}\n'),
      [
        'announce.regions: missing; expected a mapping of regions by name',
        'announce.certificate: missing; expected the path of the file with certificate and private key of this host',
        'announce.ca_file: missing; expected the path of the file with the certificates of those who sign the others',
      ].join('\n'),
    );
    assert.match(mistakes('pools', 'announce: {}\n'), /^pools: missing; expected a mapping of pools by name/);
  });

  it('have their files read by those alone who speak TLS, and judged', () => {
    const listening = (tls: string, name?: string) =>
      [`${BASE}announce:${REGIONS}  listen: 192.0.2.1\n${tls}`, name] as const;
    assert.match(
      mistakes('announce', ...listening('')),
      /^announce\.certificate: missing; .*\nannounce\.ca_file: missing; .*$/,
    );
    const gone = TLS.replaceAll('.pem', '.gone');
    assert.equal(
      mistakes('announce', ...listening(gone)),
      'announce.certificate: "own.gone": no such file; check the path\n' +
        'announce.ca_file: "ca.gone": no such file; check the path',
    );
    assert.equal(mistakes('pools', ...listening(gone)), '');
    const [text] = listening(gone);
    parseConfig(text, 'anyhop.yaml', { role: 'announce', env: { ANYHOP_NODE_NAME: 'eu-2' } });
    assert.equal(mistakes('announce', `${BASE}announce:${REGIONS}${gone}`), '');
    assert.deepEqual(
      load('announce', ...listening(TLS)).warnings.map(({ message }) => message),
      [],
    );
    const { warnings } = load('announce', ...listening(TLS, 'eu-1'));
    assert.match(
      warnings.map(({ message }) => message).join(),
      /is not for the DNS name "eu-1" of this node/,
    );
    chmodSync(join(folder, 'own.pem'), 0o644);
    const open = load('region', `announce:${REGIONS}${TLS}`).warnings;
    chmodSync(join(folder, 'own.pem'), 0o600);
    assert.match(
      open.map(({ message }) => message).join(),
      /holds a private key, and every user can access it/,
    );
  });

  it('share no node, address, VIP or prefix', () => {
    const twice = REGIONS.replace('us-1', 'EU-1')
      .replace('"[2001:db8::3]:9"', '192.0.2.1')
      .replace('198.51.100.10}]', '203.0.113.10}]\n      nets: [192.0.2.0/24]');
    const found = mistakes('pools', `${BASE}announce:${twice}`).split('\n');
    assert.deepEqual(
      found.map((line) => line.replace(/ \(line [0-9]+\)/, '')),
      [
        'announce.regions.us.nodes[0].name: the node "eu-1" is in a region already; expected each node once',
        'announce.regions.us.nodes[0].address: the address "192.0.2.1:9613" is in a region already; expected each address once',
        'announce.regions.us.vips[0].vip: the VIP "203.0.113.10" is in a region already; expected each VIP once',
        'announce.regions.us.nets[0]: the prefix "192.0.2.0/24" is in a region already; expected each prefix once',
      ],
    );
  });

  it('of a node are told of VIPs that it does not announce', () => {
    const warned = (role: Role, text: string, name?: string): string =>
      load(role, text, name)
        .warnings.map(({ field, message }) => `${field}: ${message}`)
        .join('\n');
    const typing = REGIONS.replace('203.0.113.10', '203.0.113.100');
    const told =
      /^announce\.regions\.eu\.vips\[0\]\.vip: found 203\.0\.113\.100, which no service has: eu-2 does not announce it, and www gets nothing from region eu; did you mean "203\.0\.113\.10"\?$/;
    assert.match(warned('announce', `${BASE}announce:${typing}`), told);
    assert.match(warned('node', `${NODE}${BASE}announce:${typing}`), told);
    assert.equal(
      warned('announce', `${BASE}announce:${typing}`, 'us-1'),
      '',
      'another region is not its own',
    );
    assert.equal(warned('announce', `${BASE}announce:${REGIONS}`), '');
    const chosen = `${BASE}announce:\n  vips: [203.0.113.10]${REGIONS}`;
    assert.match(
      warned('announce', chosen),
      /vips\[1\]\.vip: found 2001:db8::10, which announce\.vips leaves out: /,
    );
  });

  it('are no reason for a node not to run, and a check of it says what the announcer would refuse', () => {
    const text = `${NODE}${BASE}announce:\n  listen: 192.0.2.2${REGIONS}`;
    const found = load('node', text, 'eu-9').warnings.map(({ field, message }) => `${field}: ${message}`);
    assert.match(
      found.join('\n'),
      /announce\.certificate: missing; .*announce\.regions: no region has a node of the name of this one, "eu-9"/s,
    );
    assert.deepEqual(load('run', text, 'eu-9').warnings, []);
  });

  it('take no name that DNS or gdnsd cannot have', () => {
    for (const host of ['WWW', 'a..b', '-a', 'a b', '*', 'a;b', 'a"b'])
      assert.match(
        mistakes('pools', `${BASE}announce:${REGIONS.replace('"@"', JSON.stringify(host))}`),
        /^announce\.regions\.us\.vips\[0\]\.host: found ".*"; expected a name below the zone/,
        host,
      );
    assert.match(
      mistakes('pools', `${BASE}announce:${REGIONS.replace('us:', '"u s":')}`),
      /^announce\.regions\["u s"\]: found the name "u s"; expected a name: letters/,
    );
  });
});
