/** `anyhop which --url`, run as a user runs it: which proxy host, frontend, route and upstream a request gets to, and why. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { fakeNode } from '../api/fake-node.js';
import { isInstalled } from '../isolation.js';
import { anyhop } from './client.js';

const KEY = '00112233445566778899aabbccddeeff';
const THUMBPRINT = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG';

const service = (name: string, vip: string, port: number | string) => ({
  name,
  vip,
  port,
  protocol: 'tcp',
  pool: 'proxies',
});
const server = (name: string, number: number, more: object = {}) => ({
  name,
  address: `10.2.0.${number}`,
  port: 8080,
  ...more,
});

const CONFIG = {
  pools: {
    proxies: {
      table_size: 251,
      backends: [
        { name: 'proxy-1', address: '10.1.0.11' },
        { name: 'proxy-2', address: '10.1.0.12' },
        { name: 'proxy-3', address: '10.1.0.13', state: 'draining' },
      ],
    },
  },
  services: [
    service('https', '203.0.113.10', 443),
    service('https6', '2001:db8::10', 443),
    service('http', '203.0.113.10', 80),
    service('inner', '203.0.113.11', 8080),
    service('inner-2', '203.0.113.12', 8080),
  ],
  agent: { forwarders: ['10.0.0.1'] },
  l7: {
    acme: { thumbprint: THUMBPRINT },
    frontends: {
      web: {
        services: ['https', 'https6'],
        certificates: 'certs',
        redirect_from: ['http'],
        routes: [
          { host: 'api.example.com', path: '/v1/', to: 'api' },
          { host: '*.example.com', header: { 'x-beta': '1' }, cookie: { group: 'b' }, to: 'beta' },
          { host: 'old.example.com', redirect: 'https://shop.example.com', status: 302 },
          { header: { 'x-real-ip': '192.0.2.1' }, to: 'beta' },
          { to: 'shop' },
        ],
      },
      inner: { services: ['inner'], routes: [{ host: 'in.example.com', path: '/a', to: 'shop' }] },
      other: { services: ['inner-2'], routes: [{ to: 'beta' }] },
    },
    upstreams: {
      shop: {
        sticky: { cookie: 'SRV' },
        servers: [server('shop-1', 11, { weight: 2 }), server('shop-2', 12, { state: 'draining' })],
      },
      api: { balance: 'round_robin', servers: [server('api-1', 13)] },
      beta: { servers: [server('beta-1', 14)] },
    },
  },
};

let folder: string;
/** Without a secret, as on a proxy host. */
let file: string;
/** With the secret. */
let whole: string;

function write(name: string, config: object): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(config, null, 1), { mode: 0o600 });
  return path;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-which-url-'));
  const l7 = { ...CONFIG.l7, run_dir: join(folder, 'run') };
  file = write('anyhop.yaml', { ...CONFIG, l7 });
  whole = write('whole.yaml', { ...CONFIG, l7, node: { key: KEY, socket: join(folder, 'nobody.sock') } });
});
after(() => rmSync(folder, { recursive: true }));

async function ask(url: string, ...args: string[]) {
  const { code, stdout, stderr } = await anyhop(['which', '-c', file, '--url', url, '--json', ...args]);
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

/** Labels with their values, in their order. */
async function rows(url: string, ...args: string[]): Promise<string[][]> {
  const { code, stdout, stderr } = await anyhop(['which', '-c', file, '--url', url, ...args]);
  assert.deepEqual([code, stderr], [0, '']);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => /^(.+?) {2,}(.*)$/.exec(line)!.slice(1));
}

/** The line of the file where a route of `web` begins. */
function routeLine(index: number): number {
  const lines = readFileSync(file, 'utf8').split('\n');
  const routes = lines.findIndex((line) => line.includes('"routes"'));
  const starts = lines.flatMap((line, i) => (i > routes && /^ {5}\{$/.test(line) ? [i + 1] : []));
  return starts[index];
}

describe('anyhop which --url', () => {
  it('says frontend, services, route and upstream, and why, without secret and client', async () => {
    const { frontends, config, request, state } = await ask('https://API.example.com/v1/../x?q=1');
    assert.deepEqual([config, state], [file, undefined]);
    assert.deepEqual(request, {
      url: 'https://API.example.com/v1/../x?q=1',
      headers: [],
      host: 'API.example.com',
      path: '/v1/../x?q=1',
    });
    assert.equal(frontends.length, 1);
    const [{ frontend, speaks, services, answer }] = frontends;
    assert.deepEqual([frontend, speaks], ['web', 'https']);
    const proxyHosts = [
      { name: 'proxy-1', address: '10.1.0.11', state: 'active' },
      { name: 'proxy-2', address: '10.1.0.12', state: 'active' },
      { name: 'proxy-3', address: '10.1.0.13', state: 'draining' },
    ];
    assert.deepEqual(services, [
      { service: 'https', vip: '203.0.113.10', port: 443, pool: 'proxies', proxyHosts },
      { service: 'https6', vip: '2001:db8::10', port: 443, pool: 'proxies', proxyHosts },
    ]);
    assert.deepEqual(answer, {
      from: 'routes',
      host: 'api.example.com',
      pattern: 'api.example.com',
      route: {
        index: 0,
        line: routeLine(0),
        pattern: 'api.example.com',
        match: 'api.example.com/v1/',
        to: 'api',
      },
      passedOver: [],
      upstream: {
        name: 'api',
        balance: 'round_robin',
        servers: [{ name: 'api-1', address: '10.2.0.13:8080', weight: 1, state: 'active' }],
      },
    });
  });

  it('says the same in words', async () => {
    const text = await rows(
      'https://a.example.com/x',
      '--header',
      'X-Beta: 2',
      '--header',
      'x-real-ip: 192.0.2.1',
    );
    const line = (index: number) => `routes[${index}] (line ${routeLine(index)})`;
    assert.deepEqual(text, [
      ['config', file],
      ['request', 'https://a.example.com/x'],
      ['header', 'X-Beta: 2'],
      ['header', 'x-real-ip: 192.0.2.1'],
      ['frontend', 'web: https'],
      ['certificate', `not known: "${join(folder, 'certs')}" cannot be read: it does not exist`],
      ['service', 'https: 203.0.113.10:443, pool proxies'],
      ['service', 'https6: [2001:db8::10]:443, pool proxies'],
      [
        'proxy host',
        'the slot depends on the client (--src); one of proxy-1 (10.1.0.11), proxy-2 (10.1.0.12), proxy-3 (10.1.0.13, draining)',
      ],
      [
        'passed over',
        `${line(1)} *.example.com/ header x-beta: 1 cookie group=b: the header x-beta is "2", not "1"; the request has no cookie group`,
      ],
      [
        'passed over',
        `${line(3)} */ header x-real-ip: 192.0.2.1: proxy hosts delete the header x-real-ip, so it never has the value 192.0.2.1`,
      ],
      ['route', `${line(4)} */: the first in order whose conditions hold`],
      ['upstream', 'shop: least_connections, sticky by cookie SRV'],
      ['servers', 'shop-1 (10.2.0.11:8080, weight 2), shop-2 (10.2.0.12:8080, draining)'],
    ]);
    const path = await rows(
      'https://api.example.com/v2',
      '--header',
      'cookie: group=a; group=b',
      '--header',
      'x-beta: 1',
    );
    assert.equal(
      path.at(-3)?.[1],
      `${line(1)} *.example.com/ header x-beta: 1 cookie group=b: no more specific host has a route with this path`,
    );
  });

  it('says what answers before routes, and what a redirect is to', async () => {
    const answer = async (url: string, ...args: string[]) => (await ask(url, ...args)).frontends[0].answer;
    assert.deepEqual(await answer('http://OLD.example.com:80/a/../b?c'), {
      from: 'redirect_from',
      status: 308,
      location: 'https://old.example.com/a/../b?c',
    });
    assert.deepEqual(await answer('http://[::1]/'), { from: 'redirect_from', status: 400 });
    assert.deepEqual(await answer('http://a.example.com/.well-known/acme-challenge/token'), {
      from: 'acme',
      status: 200,
      body: `token.${THUMBPRINT}`,
    });
    const { route, status, location } = await answer('https://old.example.com/x?y');
    assert.deepEqual([route.index, status, location], [2, 302, 'https://shop.example.com/x?y']);
    const last = async (url: string) => (await rows(url)).at(-1);
    assert.deepEqual(await last('http://old.example.com/'), [
      'answer',
      '308 to https://old.example.com/ (redirect_from)',
    ]);
    assert.deepEqual(await last('http://[::1]/'), [
      'answer',
      '400: the host is no name that clients could be sent to (redirect_from)',
    ]);
    assert.deepEqual(await last('https://old.example.com/x'), [
      'answer',
      '302 to https://shop.example.com/x',
    ]);
    assert.match((await last('http://a/.well-known/acme-challenge/x'))![1], /^200, .*: x\./);
  });

  it('says when no route takes it, and when no frontend does, as an answer', async () => {
    assert.deepEqual((await rows('http://x.example.com:8080/', '--dst', '203.0.113.11:8080')).slice(-2), [
      ['route', 'none: no route is for the host "x.example.com"'],
      ['answer', '404'],
    ]);
    assert.deepEqual((await rows('http://in.example.com/b', '--dst', '203.0.113.11:8080')).slice(-2), [
      ['route', 'none: no route of in.example.com, or of a less specific host, has the path'],
      ['answer', '404'],
    ]);
    const { frontends, why } = await ask('https://shop.example.com:80/');
    assert.deepEqual(frontends, []);
    assert.equal(why, 'no frontend takes https there: port 80 of frontend web speaks http');
    assert.deepEqual((await rows('https://shop.example.com:80/')).at(-1), ['frontend', `none: ${why}`]);
  });

  it('shows every frontend that the port has, until --dst names the VIP', async () => {
    const names = async (...args: string[]) =>
      (await ask('http://in.example.com:8080/a', ...args)).frontends.map(
        ({ frontend }: { frontend: string }) => frontend,
      );
    assert.deepEqual(await names(), ['inner', 'other']);
    assert.deepEqual(await names('--dst', '203.0.113.12:8080'), ['other']);
    const labels = (await rows('http://in.example.com:8080/a')).filter(([label]) => label === 'frontend');
    assert.deepEqual(labels, [
      ['frontend', 'inner: http'],
      ['frontend', 'other: http'],
    ]);
  });

  it('says slot and proxy host of a client, as which without a URL does', async () => {
    for (const [src, dst] of [
      ['198.51.100.7:40000', '203.0.113.10:443'],
      ['[2001:db8:c::7]:40001', '[2001:db8::10]:443'],
    ]) {
      const { state, frontends } = await ask('https://shop.example.com/', '-c', whole, '--src', src);
      const { code, stdout } = await anyhop(['which', '-c', whole, '--src', src, '--dst', dst, '--json']);
      assert.equal(code, 0);
      const { state: without, ...flow } = JSON.parse(stdout);
      assert.deepEqual(state, without);
      assert.equal(flow.verdict, 'forwarded');
      const [{ services }] = frontends;
      assert.deepEqual(
        services.map((one: { flow: unknown }) => one.flow),
        [flow],
        'one VIP has the family of the client',
      );
      const text = Object.fromEntries(await rows('https://shop.example.com/', '-c', whole, '--src', src));
      assert.equal(text['slot'], `${flow.slot} of 251`);
      assert.match(
        text['proxy host'],
        new RegExp(`^${flow.owner} \\(${flow.ownerAddress}\\): the first eligible`),
      );
      assert.equal(text['state'], `file ${whole}: every backend counts as up`);
    }
  });

  it('asks the node that runs by the file, once for each VIP, and says so', async () => {
    const node = await fakeNode();
    try {
      const config = write('node.yaml', { ...CONFIG, node: { key: KEY, socket: node.socket } });
      const explanation = { verdict: 'pass_not_vip', meaning: 'for the host' };
      const asked: string[] = [];
      node.instead.which = async ({ destination }) => {
        asked.push(destination.address.text);
        const moment = { node: 'edge-1', at: '2024-05-01T12:00:00.000Z', generation: 12, configFile: config };
        return { ...moment, answer: explanation };
      };
      const args = ['-c', config, '--src', '198.51.100.7:1'];
      const { state, frontends } = await ask('http://in.example.com:8080/a', ...args);
      assert.deepEqual([state.from, state.generation], ['node', 12]);
      assert.deepEqual(asked, ['203.0.113.11', '203.0.113.12']);
      assert.deepEqual(frontends[0].services[0].flow, explanation);
      const text = await rows('http://in.example.com:8080/a', ...args);
      assert.deepEqual(text.slice(0, 2), [
        ['state', 'node edge-1 at 2024-05-01 12:00:00, generation 12'],
        ['config', config],
      ]);
      assert.ok(text.some(([label, value]) => label === 'verdict' && value === 'pass_not_vip: for the host'));
    } finally {
      await node.close();
    }
  });

  it('says once that a node runs by another file', async () => {
    const node = await fakeNode();
    try {
      const config = write('new.yaml', { ...CONFIG, node: { key: KEY, socket: node.socket } });
      const url = ['--url', 'http://in.example.com:8080/a', '--src', '198.51.100.7:1'];
      const { code, stderr } = await anyhop(['which', '-c', config, ...url]);
      assert.equal(code, 0);
      assert.equal(stderr.match(/this is of .*new\.yaml/g)?.length, 1, stderr);
    } finally {
      await node.close();
    }
  });

  it('says which certificate a client gets, and when none is for the host', {
    skip: isInstalled('openssl') ? false : 'needs openssl',
  }, async () => {
    const certs = join(folder, 'certs');
    mkdirSync(certs);
    try {
      const authority = await createAuthority(folder);
      await authority.serverCertificate(join(certs, 'a.pem'), ['*.example.com']);
      const certificate = async (url: string) =>
        (await rows(url)).find(([label]) => label === 'certificate')?.[1];
      assert.equal(await certificate('https://a.example.com/'), join(certs, 'a.pem'));
      assert.match((await certificate('https://a.b.example.com/'))!, /^NONE is for this host/);
      assert.equal(await certificate('http://a.example.com/'), undefined);
    } finally {
      rmSync(certs, { recursive: true });
    }
  });

  it('refuses what HAProxy answers 400 to, and options that do not go together, with exit code 2', async () => {
    const url = ['--url', 'https://shop.example.com/'];
    for (const [message, ...args] of [
      ['found "#" in the URL; HAProxy answers 400', '--url', 'https://shop.example.com/#x'],
      ['found the header name "x y"; HAProxy answers 400', ...url, '--header', 'x y: 1'],
      ['found --header without --url', '--header', 'x: 1', '--src', '192.0.2.1:1', '--dst', '192.0.2.2:1'],
      ['found --proto udp with --url', ...url, '--proto', 'udp'],
      ['--src is IPv4, --dst is IPv6', ...url, '--src', '192.0.2.1:1', '--dst', '[2001:db8::1]:1'],
      ['--src is missing', '--dst', '192.0.2.2:1'],
      ['--dst is missing', '--src', '192.0.2.2:1'],
    ]) {
      const { code, stdout, stderr } = await anyhop(['which', '-c', file, ...args]);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.ok(stderr.startsWith(`anyhop: ${message}`), stderr);
    }
  });

  it('refuses a config without the tier, with exit code 2', async () => {
    const { l7: _, ...rest } = CONFIG;
    const { code, stderr } = await anyhop([
      'which',
      '-c',
      write('l4.yaml', rest),
      '--url',
      'https://a.example/',
    ]);
    assert.deepEqual(
      [code, stderr],
      [2, `anyhop: ${join(folder, 'l4.yaml')} has no section l7, and --url asks about it\n`],
    );
  });
});
