/** The sections metrics and node.siblings: defaults, files, who is warned, and which mistakes are told where. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { formatEndpoint } from '#anyhop/config/endpoint.js';
import { ConfigError } from '#anyhop/config/error.js';
import { parseConfig } from '#anyhop/config/load.js';
import { isGuarded, isLoopback } from '#anyhop/config/metrics/types.js';
import type { LoadedConfig, Role } from '#anyhop/config/types.js';
import { makeCertificate } from '../health/servers.js';

const REST = `
pools: {web: {backends: [{name: web-1, address: 10.1.0.11, agent: false}]}}
services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]
`;
const NODE = `name: edge-1, interface: eth0, source: 10.0.0.1, key: ${'ab'.repeat(32)}`;
const TLS = 'certificate: own.pem, ca_file: ca.pem';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-metrics-'));
  const { cert, key } = makeCertificate('DNS:edge-1');
  write('own.pem', cert + key);
  write('ca.pem', cert);
  write('password', 'swordfish\nanother line\n');
  write('empty', '\n');
});
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), 0o600);
}

function load<R extends Role>(role: R, text: string): LoadedConfig<R> {
  return parseConfig(text + REST, join(folder, 'anyhop.yaml'), { role, env: {} });
}

function node(metrics: string, more = ''): LoadedConfig<'node'> {
  return load('node', `node: {${NODE}, metrics: {${metrics}}${more}}`);
}

function mistakes(metrics: string, more = ''): string[] {
  try {
    node(metrics, more);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ field, message }) => `${field}: ${message.replaceAll(`${folder}/`, '')}`);
    throw error;
  }
  return [];
}

describe('the section metrics', () => {
  it('is off without a section, and on the loopback with an empty one, each process on a port of its own', () => {
    assert.equal(load('node', `node: {${NODE}}`).node.metrics, undefined);
    const listen = (metrics: { listen: Parameters<typeof formatEndpoint>[0] } | undefined) =>
      metrics && formatEndpoint(metrics.listen);
    const agent = 'agent: {forwarders: [10.0.0.1], metrics: {}}';
    assert.equal(listen(node('').node.metrics), '127.0.0.1:9612');
    assert.equal(listen(load('agent', agent).agent.metrics), '127.0.0.1:9613');
    assert.equal(
      listen(load('announce', `node: {${NODE}}\nannounce: {metrics: {}}`).announce.metrics),
      '127.0.0.1:9615',
    );
    const given = (text: string) => listen(node(`listen: "${text}"`).node.metrics);
    for (const [text, meant] of [
      ['10.0.0.1', '10.0.0.1:9612'],
      ['::', '[::]:9612'],
      ['[::]', '[::]:9612'],
      ['[2001:db8::1]:99', '[2001:db8::1]:99'],
    ])
      assert.equal(given(text!), meant);
    for (const text of ['[10.0.0.1]', '[::', '[::]:', '[::]:0', '[::]:65536', '10.0.0.1:'])
      assert.match(String(mistakes(`listen: "${text}"`)), /expected an address with or without a port/, text);
  });

  it('is read by the process that answers there alone', () => {
    const both = `node: {${NODE}, metrics: {}}\nagent: {forwarders: [10.0.0.1], metrics: {certificate: missing.pem}}`;
    const { node, agent, announce } = load('node', both);
    assert.notEqual(node.metrics, undefined);
    assert.equal(agent?.metrics, undefined);
    assert.equal(announce.metrics, undefined);
  });

  it('has what its files hold, and shows none of it', () => {
    const { metrics } = node(`${TLS}, user: prometheus, password_file: password`).node;
    assert.equal(metrics?.login?.user, 'prometheus');
    assert.equal(Buffer.from(metrics.login.password.reveal()).toString(), 'swordfish');
    assert.match(Buffer.from(metrics.tls!.certificate.reveal()).toString(), /PRIVATE KEY/);
    assert.doesNotMatch(inspect(metrics, { depth: 9 }) + JSON.stringify(metrics), /swordfish|PRIVATE/);
    assert.ok(isGuarded(metrics));
    assert.ok(isLoopback(metrics.listen));
  });

  it('says which file cannot be used, and which field belongs to which', () => {
    assert.deepEqual(mistakes('certificate: none.pem, ca_file: ca.pem'), [
      'node.metrics.certificate: "none.pem": no such file; check the path',
    ]);
    assert.deepEqual(mistakes('certificate: ca.pem'), [
      'node.metrics.certificate: "ca.pem": it has no private key; expected certificate, chain and one private key in PEM',
    ]);
    assert.deepEqual(mistakes('user: a, password_file: empty'), [
      'node.metrics.password_file: "empty": its first line is empty; expected the password',
    ]);
    assert.deepEqual(mistakes('ca_file: ca.pem'), [
      'node.metrics.certificate: missing; expected the file of a certificate: clients show theirs over TLS',
    ]);
    assert.deepEqual(mistakes('user: a'), [
      'node.metrics.password_file: missing; expected the file with the password of user',
    ]);
    assert.deepEqual(mistakes('password_file: password'), [
      'node.metrics.user: missing; expected the user whose password is in password_file',
    ]);
  });

  it('warns of an address that others reach, unless they are known and nobody reads along', () => {
    const warned = (metrics: string): string[] =>
      node(metrics)
        .warnings.filter(({ field }) => field.startsWith('node.metrics'))
        .map(({ message }) => message.split(':')[1]!.split(',')[1] ?? message);
    const out = 'listen: "10.0.0.1:9612"';
    assert.match(
      node(out).warnings[0]!.message,
      /^10\.0\.0\.1:9612 is no loopback address, and it answers anybody/,
    );
    assert.match(
      node(`${out}, user: a, password_file: password`).warnings[0]!.message,
      /the password crosses the network in plain text/,
    );
    assert.match(node(`${out}, certificate: own.pem`).warnings[0]!.message, /it answers anybody, over TLS/);
    assert.deepEqual(warned(`${out}, ${TLS}`), []);
    assert.deepEqual(warned('listen: "[::1]:99"'), []);
    chmodSync(join(folder, 'password'), 0o644);
    assert.match(node('user: a, password_file: password').warnings[0]!.message, /every user can access/);
    chmodSync(join(folder, 'password'), 0o600);
  });
});

describe('siblings of a node', () => {
  const LIST = ', siblings: [{name: edge-1, address: 10.0.0.1}, {name: edge-2, address: "[2001:db8::2]:99"}]';

  it('are the others of the list, each with the port of metrics unless it has one', () => {
    const { siblings } = node(TLS, LIST).node;
    assert.deepEqual(
      siblings.map(({ name, address }) => `${name} ${formatEndpoint(address)}`),
      ['edge-2 [2001:db8::2]:99'],
    );
  });

  it('are asked over TLS only, and are each listed once', () => {
    assert.deepEqual(
      mistakes('', LIST).map((text) => text.split(';')[0]),
      ['node.metrics.certificate: missing', 'node.metrics.ca_file: missing'],
    );
    assert.deepEqual(
      mistakes(TLS, ', siblings: [{name: b, address: 10.0.0.1}, {name: b, address: "10.0.0.1:9612"}]').map(
        (text) => text.replace(/\(.*\)/, '(...)'),
      ),
      [
        'node.siblings[1].name: the name "b" is listed before (...); expected each once',
        'node.siblings[1].address: the address "10.0.0.1:9612" is listed before (...); expected each once',
      ],
    );
  });
});
