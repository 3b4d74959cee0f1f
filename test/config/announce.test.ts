/** The section `announce`: defaults, what is announced, and which mistakes are told where. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '#anyhop/config/error.js';
import { parseConfig } from '#anyhop/config/load.js';
import { parsePrefix } from '#anyhop/packet/address.js';

const BASE = `
pools: {web: {backends: [{name: web-1, address: 10.1.0.11}]}}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: tls, vip: 203.0.113.10, protocol: tcp, port: 443, pool: web}
  - {name: six, vip: "2001:db8::10", protocol: tcp, port: 80, pool: web}
`;

function load(section: string, env: NodeJS.ProcessEnv = { ANYHOP_NODE_NAME: 'edge-1' }) {
  return parseConfig(`${BASE}${section}`, 'anyhop.yaml', { role: 'announce', env });
}

function mistakes(section: string): string[] {
  try {
    load(section);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ field, message }) => `${field}: ${message}`);
    throw error;
  }
  return [];
}

describe('the section announce', () => {
  it('has defaults for all, and takes each VIP of the services once', () => {
    const { announce, place, node } = load('');
    assert.deepEqual(
      announce.vips.map(({ text }) => text),
      ['203.0.113.10', '2001:db8::10'],
    );
    const { vips: _, ...rest } = announce;
    assert.deepEqual(rest, {
      table: 179,
      metric: 100,
      drainMetric: 200,
      orphanMs: 600_000,
      withdrawWhen: 'never',
      riseMs: 3_000,
      trackFile: undefined,
      listen: undefined,
      regions: [],
      region: undefined,
      tls: undefined,
      metrics: undefined,
      regionFile: '/var/lib/anyhop-region/states',
      regionReload: ['gdnsdctl', 'replace'],
    });
    assert.deepEqual(place, {
      node: 'edge-1',
      nodeSocket: '/run/anyhop/edge-1.sock',
      socket: '/run/anyhop/edge-1-announce.sock',
      source4: undefined,
      source6: undefined,
      interface: undefined,
      localVips: false,
    });
    assert.equal(node, undefined, 'the secret is not read');
  });

  it('takes name, sockets and source of the node from the file', () => {
    const { place } = load(
      'node: {name: edge-7, socket: /run/a.sock, source: ["fd09::2", 10.9.1.2]}\nannounce: {socket: /run/b.sock}\n',
      {},
    );
    assert.deepEqual(place, {
      node: 'edge-7',
      nodeSocket: '/run/a.sock',
      socket: '/run/b.sock',
      source4: parsePrefix('10.9.1.2'),
      source6: parsePrefix('fd09::2'),
      interface: undefined,
      localVips: false,
    });
  });

  it('announces the VIPs of its list alone, and knows the table main', () => {
    const { announce } = load('announce: {vips: ["2001:DB8:0::10"], table: main}\n');
    assert.deepEqual(
      announce.vips.map(({ text }) => text),
      ['2001:db8::10'],
    );
    assert.equal(announce.table, 254);
  });

  it('tells what is wrong, and where', () => {
    assert.match(
      mistakes('announce: {metric: 300}\n').join(),
      /^announce.drain_metric: found 200; expected more than announce.metric, 300/,
    );
    assert.match(
      mistakes('announce: {table: 255}\n').join(),
      /^announce.table: found 255; expected main, or the number/,
    );
    assert.match(mistakes('announce: {table: 0}\n').join(), /^announce.table: found 0; expected main/);
    assert.match(
      mistakes('announce: {vips: [203.0.113.11, 203.0.113.10, 203.0.113.10]}\n').join('\n'),
      /^announce.vips\[0\]: found 203.0.113.11, which no service has; did you mean "203.0.113.10"\?\nannounce.vips\[2\]: 203.0.113.10 is listed before .*; expected each VIP once$/,
    );
    assert.match(mistakes('announce: {withdraw_when: down}\n').join(), /expected never or pool_down/);
  });

  it('warns of what a node of a pair seldom means', () => {
    const warnings = (section: string): string[] =>
      load(section)
        .warnings.filter(({ field }) => /^(announce|node)/.test(field))
        .map(
          ({ line, column, field, message }) =>
            `${line - BASE.split('\n').length + 1}:${column} ${field}: ${message}`,
        );
    const pair = (announce: string, node: string): string => `announce: {${announce}}\nnode: {${node}}\n`;
    const file = 'track_file: /run/anyhop-track/priority';
    assert.deepEqual(warnings(pair(file, 'engine: xdp')), []);
    assert.deepEqual(warnings(pair('withdraw_when: pool_down', 'engine: portable')), [], 'no pair');
    const [outlives] = warnings(pair('track_file: /var/lib/anyhop/priority', ''));
    assert.match(
      outlives!,
      /^1:24 announce\.track_file: \/var\/lib\/anyhop\/priority outlives the machine.*below \/run$/,
    );
    const [down] = warnings(pair(`${file}, withdraw_when: pool_down`, ''));
    assert.match(
      down!,
      /^1:67 announce\.withdraw_when: pool_down with announce\.track_file: .*advised: never$/,
    );
    for (const engine of ['portable', 'af_xdp']) {
      const [drops] = warnings(pair(file, `engine: ${engine}`));
      assert.match(drops!, /^2:16 node\.engine: with engine .*a node that is stopped drops packets until/);
      assert.match(
        warnings(pair(file, `engine: ${engine}, stop_delay: 0s`))[0]!,
        / node\.stop_delay: with engine/,
      );
      assert.deepEqual(warnings(pair(file, `engine: ${engine}, stop_delay: 1s`)), []);
    }
  });
});
