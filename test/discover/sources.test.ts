/** Sources before servers of the test's own: a real DNS server, and HTTP servers that say what the APIs of Consul and Kubernetes say. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { parseConfig } from '#anyhop/config/load.js';
import type { Found, Source } from '#anyhop/discover/answer.js';
import { memberName } from '#anyhop/discover/names.js';
import { sourceOf } from '#anyhop/discover/sources/sources.js';
import { freePorts } from '../fleet/etcd.js';
import { until } from '../fleet/fleet.js';
import { isInstalled } from '../isolation.js';

/** By its config as people write it. */
function source(from: object): Source {
  const pool = {
    backends_from: { ...from, allowed_addresses: ['10.0.0.0/8'] },
    backends: [{ name: 'a', address: '10.0.0.1' }],
  };
  const { pools } = parseConfig(JSON.stringify({ pools: { web: pool } }), 'test', { role: 'pools' });
  return sourceOf('pool', pools[0]!.backendsFrom!);
}

/** The same for the servers of an upstream. */
function serverSource(from: object): Source {
  const servers_from = { ...from, allowed_addresses: ['10.0.0.0/8'] };
  const servers = [{ name: 'a', address: '10.0.0.1', port: 80 }];
  const config = {
    pools: { web: { backends: [{ name: 'a', address: '10.0.0.1' }] } },
    services: [{ name: 'api', vip: '203.0.113.10', protocol: 'tcp', port: 80, pool: 'web' }],
    l7: {
      frontends: { api: { services: ['api'], routes: [{ to: 'api' }] } },
      upstreams: { api: { servers_from, servers } },
    },
  };
  const { l7 } = parseConfig(JSON.stringify(config), 'test', { role: 'pools' });
  return sourceOf('upstream', l7!.upstreams[0]!.serversFrom!);
}

const ask = async (one: Source): Promise<readonly Found[]> =>
  (await one.ask(new AbortController().signal)).found;

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'anyhop-sources-'));
});
after(() => rmSync(directory, { recursive: true }));

describe('SRV records of a real DNS server', { skip: isInstalled('gdnsd') ? false : 'needs gdnsd' }, () => {
  let server: ChildProcess;
  let port: number;
  const zone = (records: string): void =>
    writeFileSync(
      join(directory, 'zones', 'example.com'),
      `@ SOA ns1 root 1 60 60 60 60\n@ NS ns1\nns1 A 127.0.0.1\n${records}`,
    );
  const reload = (): void => {
    const { status, stderr } = spawnSync('gdnsdctl', ['-c', directory, 'reload-zones'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  const srv = (name = '_web._tcp.example.com'): Source =>
    source({ dns_srv: { name, server: `127.0.0.1:${port}` } });

  before(async () => {
    [port] = (await freePorts(1)) as [number];
    for (const name of ['zones', 'run', 'state']) mkdirSync(join(directory, name));
    const options = `listen => 127.0.0.1:${port}, run_dir => ${directory}/run, state_dir => ${directory}/state, zones_default_ttl => 7`;
    writeFileSync(join(directory, 'config'), `options => { ${options} }\n`);
    zone(
      '_web._tcp SRV 10 5 80 web-1\n_web._tcp SRV 10 5 80 web-2\n_web._tcp SRV 20 5 80 spare\nweb-1 A 10.1.0.1\nweb-2 A 10.1.0.2\nspare A 10.1.0.9\n',
    );
    server = spawn('gdnsd', ['-c', directory, 'start'], { stdio: 'ignore' });
    await until('it answers', () =>
      ask(srv()).then(
        () => true,
        () => false,
      ),
    );
  });
  after(async () => {
    const gone = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGTERM');
    await gone;
  });

  test('are backends by the addresses of the best priority, asked again when those are to be forgotten', async () => {
    const { found, againMs } = await srv().ask(new AbortController().signal);
    assert.deepEqual(
      [...found].sort((a, b) => (a.name < b.name ? -1 : 1)),
      [
        { name: 'web-1.example.com', address: '10.1.0.1' },
        { name: 'web-2.example.com', address: '10.1.0.2' },
      ],
    );
    assert.equal(againMs, 7_000);
  });

  test('have weights where these differ, and a backend for each of several addresses', async () => {
    zone(
      '_web._tcp SRV 10 5 80 web-1\n_web._tcp SRV 10 0 80 web-2\nweb-1 A 10.1.0.1\nweb-1 A 10.1.0.3\nweb-2 AAAA fd00::2\n',
    );
    reload();
    assert.deepEqual(
      [...(await ask(srv()))].sort((a, b) => (a.name < b.name ? -1 : 1)),
      [
        { name: 'web-1.example.com-10-1-0-1', address: '10.1.0.1', weight: 5 },
        { name: 'web-1.example.com-10-1-0-3', address: '10.1.0.3', weight: 5 },
        { name: 'web-2.example.com', address: 'fd00::2', weight: 1 },
      ],
    );
  });

  test('are servers with the ports of the records, one for each port of a host', async () => {
    zone(
      '_web._tcp SRV 10 5 80 web-1\n_web._tcp SRV 10 5 81 web-1\n_web._tcp SRV 10 5 82 web-2\nweb-1 A 10.1.0.1\nweb-2 A 10.1.0.2\n',
    );
    reload();
    const from = { dns_srv: { name: '_web._tcp.example.com', server: `127.0.0.1:${port}` } };
    assert.deepEqual(
      [...(await ask(serverSource(from)))].sort((a, b) => (a.name < b.name ? -1 : 1)),
      [
        { name: 'web-1.example.com-80', address: '10.1.0.1', port: 80 },
        { name: 'web-1.example.com-81', address: '10.1.0.1', port: 81 },
        { name: 'web-2.example.com', address: '10.1.0.2', port: 82 },
      ],
    );
  });

  test('are no answer when a target has no address, when there are none, or nobody answers', async () => {
    zone('_web._tcp SRV 10 5 80 web-1\n_web._tcp SRV 10 5 80 web-2\nweb-1 A 10.1.0.1\n');
    reload();
    await assert.rejects(ask(srv()), { message: 'web-2.example.com: has no address' });
    await assert.rejects(ask(srv('_none._tcp.example.com')), {
      message: '_none._tcp.example.com: has no SRV records',
    });
    const [closed] = (await freePorts(1)) as [number];
    await assert.rejects(
      ask(source({ dns_srv: { name: '_web._tcp.example.com', server: `127.0.0.1:${closed}` } })),
      { message: '_web._tcp.example.com: the DNS server refuses the connection' },
    );
  });
});

describe('sources over HTTP', () => {
  let server: Server;
  let url: string;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let asked: IncomingMessage[];

  beforeEach(async () => {
    asked = [];
    server = createServer((request, response) => {
      asked.push(request);
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const list = [{ name: 'web-1', address: '10.1.0.1' }];
  const says = (body: unknown, headers: Record<string, string> = {}, status = 200): void => {
    answer = (_, response) =>
      void response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const replies = (reply: typeof answer): void => {
    answer = reply;
  };
  const asks = (more: object = {}): Source => source({ http: { url: `${url}/web.json`, ...more } });

  test('a list is read again only when it has changed, with the token of the moment', async () => {
    const token = join(directory, 'token');
    writeFileSync(token, 'first\n');
    answer = (request, response) => {
      if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end();
      else response.writeHead(200, { etag: '"1"' }).end(JSON.stringify(list));
    };
    const one = asks({ token_file: token });
    assert.deepEqual(await ask(one), list);
    writeFileSync(token, 'second\n');
    assert.deepEqual(await ask(one), list);
    assert.deepEqual(
      asked.map(({ headers }) => [headers['authorization'], headers['if-none-match']]),
      [
        ['Bearer first', undefined],
        ['Bearer second', '"1"'],
      ],
    );
  });

  for (const [what, reply, message] of [
    ['another status', () => says('', {}, 503), /HTTP status 503; expected 200$/],
    [
      'a redirect',
      () => says('', { location: 'http://127.0.0.1:1/' }, 302),
      /HTTP status 302; expected 200$/,
    ],
    ['no list', () => says('<html>'), /web\.json: expected a list of backends/],
    [
      'a wrong entry',
      () => says([{ name: 'web 1', address: '10.1.0.1' }]),
      /web\.json \[0\]\.name: expected a name/,
    ],
    ['too much', () => says(' '.repeat(5 * 1024 * 1024)), /more than 4194304 bytes$/],
    ['nothing in time', () => replies(() => undefined), /no answer within 300ms$/],
    [
      'a half of it',
      () =>
        replies((_, response) => {
          response.writeHead(200, { 'content-length': '99' }).write('[', () => response.destroy());
        }),
      /(aborted|ended within the answer|hang up|reset)/,
    ],
  ] as const)
    test(`${what} is no answer`, async () => {
      reply();
      await assert.rejects(ask(asks(what === 'nothing in time' ? { timeout: '300ms' } : {})), message);
    });

  test('instances of Consul are backends, asked for by an index that begins anew when it goes back', async () => {
    const instance = (node: string, address: string, id = 'web', weight = 1) => ({
      Node: { ID: 'x', Node: node, Address: '10.9.0.1', Datacenter: 'dc1' },
      Service: {
        ID: id,
        Service: 'web',
        Address: address,
        Port: 80,
        Weights: { Passing: weight, Warning: 1 },
      },
      Checks: [],
    });
    const one = source({ consul: { url, service: 'web' } });
    for (const index of ['7', '9', '3', '4']) {
      says([instance('n1', '10.1.0.1'), instance('n2', '', 'web', 3), instance('n2', '10.1.0.3', 'web/b')], {
        'x-consul-index': index,
      });
      assert.deepEqual(await ask(one), [
        { name: 'n1', address: '10.1.0.1', weight: 1 },
        { name: 'n2', address: '10.9.0.1', weight: 3 },
        { name: memberName('n2-web/b'), address: '10.1.0.3', weight: 1 },
      ]);
    }
    assert.deepEqual(
      asked.map(({ url: path }) => path),
      ['', '&index=7&wait=55s', '&index=9&wait=55s', ''].map(
        (wait) => `/v1/health/service/web?passing=1${wait}`,
      ),
    );
    says('rpc error', {}, 500);
    await assert.rejects(ask(one), /HTTP status 500/);
    says('[]');
    await ask(one);
    assert.equal(asked.at(-1)?.url, '/v1/health/service/web?passing=1');
  });

  test('endpoints of Kubernetes are active, draining or not there, over all pages of their slices', async () => {
    const endpoint = (name: string, address: string, conditions?: object) => ({
      addresses: [address],
      ...(conditions && { conditions }),
      targetRef: { kind: 'Pod', name },
    });
    const slice = (addressType: string, ...endpoints: object[]) => ({ addressType, endpoints, ports: [] });
    const pages = [
      {
        metadata: { resourceVersion: '5', continue: 'next&page' },
        items: [
          slice(
            'IPv4',
            endpoint('a', '10.1.0.1', { ready: true }),
            endpoint('b', '10.1.0.2', { ready: false, serving: true, terminating: true }),
          ),
          slice('IPv6', endpoint('a', 'fd00::1', { ready: true }), endpoint('six', 'fd00::6')),
        ],
      },
      {
        metadata: {},
        items: [
          slice('FQDN', endpoint('n', 'example.com')),
          slice(
            'IPv4',
            endpoint('c', '10.1.0.3', { ready: false, serving: false, terminating: true }),
            endpoint('d', '10.1.0.4', { ready: false }),
            endpoint('e', '10.1.0.5'),
          ),
          { addressType: 'IPv4', endpoints: null },
        ],
      },
    ];
    answer = (request, response) =>
      void response.end(JSON.stringify(pages[request.url!.includes('continue=') ? 1 : 0]));
    const found = await ask(source({ kubernetes: { url, namespace: 'default', service: 'web' } }));
    assert.deepEqual(
      found.map(({ name, address, draining }) => `${name} ${address}${draining ? ' draining' : ''}`).sort(),
      ['a 10.1.0.1', 'b 10.1.0.2 draining', 'e 10.1.0.5', 'six fd00::6'],
    );
    const query = 'labelSelector=kubernetes.io%2Fservice-name%3Dweb&limit=500';
    const path = `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?${query}`;
    assert.deepEqual(
      asked.map((request) => request.url),
      [path, `${path}&continue=next%26page`],
    );
    says({ metadata: {}, items: [{ addressType: 4 }] });
    await assert.rejects(
      ask(source({ kubernetes: { url, namespace: 'default', service: 'web' } })),
      /items\[0\]\.addressType: /,
    );
  });
});

describe('servers of an upstream', () => {
  test('have the port of the list, or the one of the config, and backends have none', async () => {
    const file = join(directory, 'api.yaml');
    writeFileSync(
      file,
      '- { name: a, address: 10.1.0.1, port: 81 }\n- { name: b, address: 10.1.0.2, weight: 256 }\n',
    );
    assert.deepEqual(await ask(serverSource({ file, port: 80 })), [
      { name: 'a', address: '10.1.0.1', port: 81 },
      { name: 'b', address: '10.1.0.2', weight: 256, port: 80 },
    ]);
    await assert.rejects(ask(serverSource({ file })), {
      message: `${file} b: the source says no port; set servers_from.port`,
    });
    await assert.rejects(ask(source({ file })), { message: `${file} [0]: has the unknown key port` });
    writeFileSync(file, '- { name: b, address: 10.1.0.2, port: 80, weight: 257 }\n');
    await assert.rejects(ask(serverSource({ file })), /\[0\]\.weight: expected a whole number, 0 to 256$/);
  });

  test('have the port of their instance in Consul, and of their slice in Kubernetes', async () => {
    let body: unknown;
    const server = createServer((_, response) => void response.end(JSON.stringify(body)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const node = { Node: 'n1', Address: '10.1.0.1' };
      body = [
        {
          Node: node,
          Service: { ID: 'api', Service: 'api', Address: '', Port: 81, Weights: { Passing: 999 } },
        },
      ];
      assert.deepEqual(await ask(serverSource({ consul: { url, service: 'api' } })), [
        { name: 'n1', address: '10.1.0.1', port: 81, weight: 256 },
      ]);
      const ports = [
        { name: 'http', port: 80, protocol: 'TCP' },
        { name: 'metrics', port: 9090, protocol: 'TCP' },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ];
      body = {
        metadata: {},
        items: [{ addressType: 'IPv4', endpoints: [{ addresses: ['10.1.0.1'] }], ports }],
      };
      const service = { url, namespace: 'default', service: 'api' };
      await assert.rejects(
        ask(serverSource({ kubernetes: service })),
        /the service has the ports http, metrics; set kubernetes\.port to the name of one$/,
      );
      assert.deepEqual(await ask(serverSource({ kubernetes: { ...service, port: 'http' } })), [
        { name: '10.1.0.1', address: '10.1.0.1', port: 80, draining: false },
      ]);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

test('names of elsewhere become names of backends, different ones different names', () => {
  const long = 'x'.repeat(80);
  const names = ['web-1', 'a/b', 'a:b', '_x', long, `${long}y`].map(memberName);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
  assert.equal(names[0], 'web-1');
});
