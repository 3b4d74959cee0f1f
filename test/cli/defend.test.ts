/** `anyhop defend`: what a node is told, what is refused before it hears of it, and what its answers become. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { after, before, beforeEach, describe, it } from 'node:test';
import { readInForce } from '#anyhop/api/in-force.js';
import { dangersOf } from '#anyhop/cli/defend-dangers.js';
import { L } from '#anyhop/core/layout.gen.js';
import { CONTROL_BODY_BYTES_MAX } from '#anyhop/core/limits.js';
import { parsePrefix } from '#anyhop/packet/address.js';
import { defendedService, defendReport } from '../node/defend-report.js';
import { anyhop, type Ran } from './client.js';

const IN_FORCE = {
  node: 'edge-1',
  at: '2024-05-01T12:00:00.000Z',
  generation: 7,
  configFile: '/etc/anyhop/anyhop.yaml',
  keyFingerprint: '00',
  flowHashVersion: L.FLOW_HASH_VERSION,
  source4: '10.0.0.0/28',
  services: [],
  pools: [
    {
      name: 'web',
      slots: 251,
      panicThreshold: 0,
      owners: '',
      alternates: '',
      backends: [
        {
          name: 'web-1',
          address: '10.1.0.11',
          weight: 1,
          state: 'active',
          agent: true,
          id: 11,
          mtu: 1500,
          health: 'up',
        },
      ],
      remembered: [],
    },
  ],
};

type Answer = readonly [status: number, json: object];

let socket: string;
let server: Server;
let told: { readonly path: string; readonly body: unknown }[];
let answers: Record<string, Answer | ((body: { readonly prefixes: readonly string[] }) => Answer)>;

before(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ah-defend-'));
  socket = join(directory, 'edge-1.sock');
  server = createServer(async (request, response) => {
    const { url = '' } = request;
    const body = await readAll(request);
    const parsed = body === '' ? undefined : JSON.parse(body);
    if (parsed !== undefined) told.push({ path: url, body: parsed });
    const answer = answers[url] ?? [404, { error: { code: 'ERR_NOT_FOUND', message: `no ${url}` } }];
    const [status, json] = typeof answer === 'function' ? answer(parsed) : answer;
    response.writeHead(status).end(JSON.stringify(json));
  }).listen(socket);
  await once(server, 'listening');
});
after(() => {
  server.close();
  rmSync(dirname(socket), { recursive: true });
});
beforeEach(() => {
  told = [];
  answers = {
    '/in-force': [200, IN_FORCE],
    '/defend': [200, defendReport()],
    '/defend/block': became({ effect: 'added', verdict: 'block' }),
    '/defend/allow': became({ effect: 'added', verdict: 'allow' }),
    '/defend/unblock': became({ effect: 'removed' }),
  };
});

/** Of each prefix. */
function became(change: object, warnings: readonly string[] = []) {
  return ({ prefixes }: { readonly prefixes: readonly string[] }): Answer => [
    200,
    { changes: prefixes.map((prefix) => ({ prefix, ...change })), warnings },
  ];
}

const run = (args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
  anyhop(['defend', ...args, '--socket', socket], input, env);

describe('defend block', () => {
  it('tells the node the prefix, for how long and why, and says what holds now', async () => {
    answers['/defend/block'] = became({
      effect: 'added',
      verdict: 'block',
      until: '2024-05-01T12:15:00.000Z',
    });
    const { code, stdout, stderr } = await run([
      'block',
      '198.51.100.0/24',
      '--for',
      '10m',
      '--why',
      'a flood',
    ]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '198.51.100.0/24 is blocked until 2024-05-01 12:15:00\n');
    assert.deepEqual(told, [
      { path: '/defend/block', body: { prefixes: ['198.51.100.0/24'], forMs: 600_000, why: 'a flood' } },
    ]);
  });

  it('takes many, as words and one a line, each once', async () => {
    const input = '# from top\n198.51.100.7   # twice\n\n2001:db8:7::/48\r\n198.51.100.7/32\n';
    const { code, stdout, stderr } = await run(['block', '198.51.100.1', '-', '--json'], input);
    assert.equal(code, 0, stderr);
    const { changes } = JSON.parse(stdout) as { changes: { prefix: string }[] };
    assert.deepEqual(
      changes.map(({ prefix }) => prefix),
      ['198.51.100.1/32', '198.51.100.7/32', '2001:db8:7::/48'],
    );
    assert.equal(told.length, 1, 'in one request');
  });

  it('takes thousands, in requests that the node reads, and shows the first', async () => {
    const many = Array.from({ length: 2345 }, (_, i) => `2001:db8:${i.toString(16)}::/48`);
    const { code, stdout, stderr } = await run(['block', '-'], many.join('\n'));
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\nand 2325 more\n$/);
    const bodies = told.map(({ body }) => body as { prefixes: string[] });
    assert.deepEqual(bodies.map(({ prefixes }) => prefixes.length).sort(), [1000, 1000, 345]);
    assert.ok(bodies.every((body) => JSON.stringify(body).length < CONTROL_BODY_BYTES_MAX));
  });

  it('passes on what the node warns of', async () => {
    const warning = 'this will not survive a restart of the node: no space left on device';
    answers['/defend/block'] = became({ effect: 'added', verdict: 'block' }, [warning]);
    assert.ok((await run(['block', '198.51.100.1'])).stdout.endsWith(`\nwarning: ${warning}\n`));
  });

  it('names every word that is no prefix, with its line, and tells the node nothing', async () => {
    const { code, stderr } = await run(
      ['block', '198.51.100.7/24', '-'],
      '198.51.100.1\nevil\n10.0.0.0/33\n',
    );
    assert.equal(code, 2);
    assert.match(stderr, /3 words are no prefixes; nothing was changed\n/);
    assert.match(stderr, /"198\.51\.100\.7\/24" .*the prefix is 198\.51\.100\.0\/24\n/);
    assert.match(stderr, /standard input:2: "evil" is no prefix\n/);
    assert.match(stderr, /standard input:3: "10\.0\.0\.0\/33" is no prefix\n/);
    assert.deepEqual(told, []);
  });

  it('refuses what holds a backend, unless it is forced', async () => {
    const { code, stderr } = await run(['block', '10.1.0.0/16', '198.51.100.1']);
    assert.equal(code, 2);
    assert.match(stderr, /nothing was changed: 10\.1\.0\.0\/16 holds 10\.1\.0\.11 of backend web\/web-1\n/);
    assert.match(stderr, /--force takes it as it is/);
    assert.deepEqual(told, []);
    assert.equal((await run(['block', '10.1.0.0/16', '--force'])).code, 0);
    assert.equal(told.length, 1);
  });

  it('says that nothing is dropped where rules only count, and where there are none', async () => {
    answers['/defend'] = [200, defendReport({ services: [defendedService('web', { lists: 'observe' })] })];
    assert.match((await run(['block', '198.51.100.1'])).stdout, /\nin mode observe: .*passes\n$/);
    answers['/defend'] = [200, defendReport({ mode: 'off', services: [] })];
    assert.match(
      (await run(['block', '198.51.100.1'])).stdout,
      /\nno service of this node uses the lists, .*\n$/,
    );
  });

  it('fails with the words of a node that refuses', async () => {
    answers['/defend/block'] = [
      409,
      { error: { code: 'ERR_LIMIT', message: 'too many', hint: 'Unblock some.' } },
    ];
    const { code, stdout, stderr } = await run(['block', '198.51.100.1', '198.51.100.2']);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /too many\n.*Unblock some\./);
    const json = await run(['block', '198.51.100.1', '--json']);
    assert.equal(json.code, 1);
    assert.equal(JSON.parse(json.stdout).error.code, 'ERR_LIMIT');
  });

  it('refuses a duration that is none, and no prefix at all', async () => {
    for (const wrong of ['10', '0s', '10ms', '366d'])
      assert.match(
        (await run(['block', '198.51.100.1', '--for', wrong])).stderr,
        /Expected a duration from 1s to 365d/,
      );
    assert.equal((await run(['block'])).code, 2);
    assert.equal((await run(['block', '-'], '# nothing\n')).code, 2);
    assert.deepEqual(told, []);
  });
});

describe('a prefix that is better not blocked', () => {
  const interfaces = {
    eth0: [
      { address: '198.51.100.9', internal: false },
      { address: '2001:db8:5::9', internal: false },
    ],
    lo: [{ address: '203.0.113.10', internal: true }],
  } as unknown as ReturnType<typeof networkInterfaces>;
  const dangers = (text: string, login?: string): string[] =>
    dangersOf([parsePrefix(text)!], readInForce(IN_FORCE, 'a test'), interfaces, login);

  it('holds an address of the fleet, of this host or of the login', () => {
    assert.deepEqual(dangers('10.1.0.11'), ['10.1.0.11/32 holds 10.1.0.11 of backend web/web-1']);
    assert.deepEqual(dangers('10.0.0.3'), ['10.0.0.3/32 holds the source of forwarder edge-1']);
    assert.deepEqual(dangers('10.0.0.0/24'), ['10.0.0.0/24 holds the source of forwarder edge-1']);
    assert.deepEqual(dangers('2001:db8:5::/48'), ['2001:db8:5::/48 holds 2001:db8:5::9 of this host (eth0)']);
    assert.deepEqual(dangers('192.0.2.0/24', '192.0.2.7 50000 198.51.100.9 22'), [
      '192.0.2.0/24 holds 192.0.2.7, from where you are logged in',
    ]);
    for (const harmless of ['192.0.2.0/24', '203.0.113.10', '10.1.0.12', '2001:db8:6::/48'])
      assert.deepEqual(dangers(harmless, 'nonsense'), []);
  });

  it('is a large part of the Internet', () => {
    assert.match(dangers('0.0.0.0/0')[0]!, /^0\.0\.0\.0\/0 is every IPv4 address$/);
    assert.match(dangers('128.0.0.0/2')[0]!, /^128\.0\.0\.0\/2 is 1 of 4 of all IPv4 addresses$/);
    assert.match(dangers('2000::/3')[0]!, /^2000::\/3 is 1 of 8 of all IPv6 addresses$/);
    assert.deepEqual(dangers('8.0.0.0/8'), []);
  });
});

describe('defend allow and unblock', () => {
  it('tell the node, and take a fleet address without asking twice', async () => {
    const allowed = await run(['allow', '10.1.0.11', '--why', 'our own']);
    assert.equal(allowed.stdout, '10.1.0.11/32 is allowed until it is unblocked\n');
    const unblocked = await run(['unblock', '10.1.0.11']);
    assert.equal(unblocked.stdout, '10.1.0.11/32 is no longer on the list of this node\n');
    assert.deepEqual(told, [
      { path: '/defend/allow', body: { prefixes: ['10.1.0.11/32'], why: 'our own' } },
      { path: '/defend/unblock', body: { prefixes: ['10.1.0.11/32'] } },
    ]);
    assert.equal((await run(['allow', '::/0'])).code, 2);
  });
});

describe('defend status and top', () => {
  it('print the report of the node, as text with rates of a second and as JSON', async () => {
    const text = await run(['status']);
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /^mode {3}enforce/);
    assert.deepEqual(JSON.parse((await run(['status', '--json'])).stdout), defendReport());
  });

  it('print the heavy sources once where there is no terminal', async () => {
    const sources = [{ source: '198.51.100.7', packetsPerSecond: 10, dropped: 0 }];
    answers['/defend/top'] = [200, { sources }];
    assert.match((await run(['top'])).stdout, /^SOURCE .*\n198\.51\.100\.7 +10 +0 +all services\n$/);
    assert.deepEqual(JSON.parse((await run(['top', '--json'])).stdout), { sources });
  });

  it('fail with 1 where no node answers, and with 2 for wrong options', async () => {
    assert.equal((await anyhop(['defend', 'status', '--socket', '/nowhere'])).code, 1);
    assert.equal((await run(['top', '--rows', '0'])).code, 2);
    assert.equal((await run(['top', '--every', '1ms'])).code, 2);
  });
});
