/** What `anyhop status` draws of a node: what is wrong, what is under way and what was set at runtime stand out. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { AgentStatus, CheckStatus, NodeStatus } from '#anyhop/api/status.js';
import { drawStatus } from '#anyhop/cli/status-text.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';

const at = (time: string): string => `2024-05-01T${time}.000Z`;
const NOW = new Date(at('12:09:30'));
before(() => {
  process.env['TZ'] = 'UTC';
});

const lines = (status: NodeStatus): string[] => drawStatus(status, NOW).split('\n');

test('status of a node at rest says that it is ready and which file it has read, and nothing of changes', () => {
  const drawn = lines(nodeStatus());
  assert.ok(drawn.includes('ready    yes'));
  assert.ok(drawn.includes('config   /etc/anyhop/anyhop.yaml, read at 12:00:00'));
  assert.doesNotMatch(drawn.join('\n'), /settles|waits|runtime|REFUSED|drain/);
});

test('status says why a node is not ready, and what of its config file was refused', () => {
  const drawn = lines(
    nodeStatus({
      readiness: { ready: false, reasons: ['web/web-1 has no result yet', 'it stops'], services: [] },
      config: {
        file: '/etc/anyhop/anyhop.yaml',
        loadedAt: at('12:00:00'),
        refused: {
          at: at('12:08:00'),
          message: 'a.yaml:3:5: pools.web: missing\na.yaml:9:1: x\na.yaml:9:2: y',
        },
      },
    }),
  );
  assert.ok(drawn.includes('ready    NO: web/web-1 has no result yet; it stops'));
  assert.ok(drawn.includes('REFUSED  at 12:08:00: a.yaml:3:5: pools.web: missing'));
  assert.ok(drawn.includes('         and 2 lines more: "anyhop check -c /etc/anyhop/anyhop.yaml" has all'));
});

test('status names services that are not ready, though the node is', () => {
  const reason = 'no backend of the pool dns can be reached: a, b: no route covers it';
  const services = ['dns', 'dns-tls'].map((name) => ({ name, ready: false, pool: 'dns', reason }));
  const readiness = {
    ready: true,
    reasons: [],
    services: [{ name: 'http', ready: true, pool: 'web' }, ...services],
  };
  const drawn = lines(nodeStatus({ readiness }));
  assert.ok(drawn.includes('ready      yes'), drawn.join('\n'));
  assert.ok(drawn.includes(`NOT READY  services dns, dns-tls: ${reason}`));
});

test('status names agents that do not answer, and those of another version than the node', () => {
  const at = '2024-05-01T12:00:00.000Z';
  const pool = poolStatus('web', [
    backendStatus('web-1', { agent: { reachable: true, at, version: '0.1.0', connections: 1, vips: [] } }),
    backendStatus('web-2', { agent: { reachable: true, at, version: '0.0.9', connections: 12, vips: [] } }),
    backendStatus('web-3', { agent: { reachable: false, at, why: 'ECONNREFUSED' } }),
    backendStatus('web-4'),
  ]);
  const drawn = lines(nodeStatus({ pools: [pool] }));
  const cell = (name: string): string | undefined =>
    drawn.find((line) => line.startsWith(`${name} `))?.split(/ {2,}/)[5];
  const names = ['web-1', 'web-2', 'web-3', 'web-4'];
  assert.deepEqual(names.map(cell), ['1 conn', '12 conns', 'SILENT', '-']);
  assert.ok(drawn.includes('silent: web-3: ECONNREFUSED'));
  assert.ok(drawn.includes("agents of another version than this node's: web-2 (0.0.9)"));
});

test('status names VIPs that hosts of backends lack, and VIPs that the configs of their agents lack', () => {
  const agent = (more: Partial<AgentStatus> = {}): AgentStatus => ({
    reachable: true,
    at: at('12:00:00'),
    version: '0.1.0',
    connections: 12,
    ...more,
  });
  const missing = { missingVips: ['203.0.113.10'] };
  const pool = poolStatus('web', [
    backendStatus('web-1', { agent: agent(missing) }),
    backendStatus('web-2', { agent: agent() }),
    backendStatus('web-3', { agent: agent(missing) }),
    backendStatus('web-4', { agent: agent({ unknownVips: ['203.0.113.10', '203.0.113.11'] }) }),
  ]);
  const drawn = lines(nodeStatus({ pools: [pool] }));
  assert.equal(drawn.filter((line) => line.includes('12 conns, LACKS VIP')).length, 3);
  assert.ok(
    drawn.includes(
      'VIP 203.0.113.10 is not on the hosts of web-1, web-3, so its packets are dropped there: ip addr add 203.0.113.10 dev lo',
    ),
  );
  assert.ok(drawn.includes('VIP 203.0.113.10, 203.0.113.11 is not in the config of the agent of web-4'));
});

test('status shows how long the last check of a backend took and how old it is, and of several the one that says most', () => {
  const last = (tookMs: number, time: string, outcome: 'good' | 'failed' | 'not_made' = 'good') => ({
    tookMs,
    at: at(time),
    outcome,
  });
  const checked = (name: string, ...checks: readonly CheckStatus[]) => backendStatus(name, { checks });
  const pool = poolStatus('web', [
    checked('web-1', { name: 'tunnel', passes: true, last: last(0.3141, '12:09:27') }),
    checked('web-2', { name: 'tunnel', passes: true, last: last(1456, '12:04:00') }),
    checked(
      'web-3',
      { name: 'tunnel', passes: true, last: last(1.5, '12:09:29') },
      { name: 'http 80', passes: true, last: last(0.5, '12:09:28', 'failed') },
    ),
    checked(
      'web-4',
      { name: 'tunnel', passes: true, last: last(1.5, '12:09:29') },
      { name: 'http 80', passes: true, last: last(12.26, '12:09:31') },
    ),
    checked('web-5', { name: 'tunnel' }, { name: 'http 80', last: last(1, '12:09:28', 'good') }),
    checked('web-6', { name: 'tunnel', passes: true, last: last(0, '12:09:29', 'not_made') }),
    backendStatus('web-7'),
  ]);
  const drawn = lines(nodeStatus({ pools: [pool] }));
  const cell = (name: string): string | undefined =>
    drawn.find((line) => line.startsWith(`${name} `))?.split(/ {2,}/)[6];
  assert.deepEqual(['web-1', 'web-2', 'web-3', 'web-4', 'web-5', 'web-6', 'web-7'].map(cell), [
    'tunnel 0.31 ms, 3s ago',
    'tunnel 1.5 s, 5m ago',
    'http 80 FAILED 2s ago and 1 more',
    'http 80 12 ms, 0s ago and 1 more',
    'tunnel, none yet and 1 more',
    'tunnel NOT MADE 1s ago',
    '-',
  ]);
});

test('status shows the paths that take less than their routes say, and what routers said that taught nothing', () => {
  const hop = { interface: 'eth0', mac: '02:00:00:00:00:01' };
  const learned = { router: '10.9.9.9', until: at('12:19:00'), routeMtu: 1600 };
  const pool = poolStatus('web', [
    backendStatus('web-1', { nextHop: { ...hop, mtu: 1400, learned } }),
    backendStatus('web-2', { nextHop: { ...hop, mtu: 1300, ipv6Needs: 1304 } }),
    backendStatus('web-3'),
  ]);
  const drawn = lines(
    nodeStatus({ pools: [pool], pathReports: { raised: 2, withoutSize: 0, unrelated: 31, lost: 0 } }),
  );
  const said =
    'the path to web-1 carries 1400 bytes instead of 1600, according to router 10.9.9.9: believed until 12:19:00';
  assert.ok(drawn.includes(said), drawn.join('\n'));
  assert.ok(drawn.includes('the path to web-2 is TOO NARROW for IPv6: its MTU must be 1304 or more'));
  const counts = '2 with an MTU too small to believe, 31 about packets not sent from here';
  assert.ok(drawn.some((line) => line.startsWith('routers') && line.includes(counts)));
  assert.doesNotMatch(lines(nodeStatus()).join('\n'), /path to|NARROW|routers/);
});

test('status says how far drains have come, what settles, what waits, and what was set at runtime', () => {
  const drain = (connections: number | null, done: boolean) => ({
    state: 'draining' as const,
    drain: { since: at('12:00:00'), deadline: at('13:00:00'), connections, done },
  });
  const pool = poolStatus(
    'web',
    [
      backendStatus('web-1'),
      backendStatus('web-2', drain(12, false)),
      backendStatus('web-3', drain(0, true)),
      backendStatus('web-4', drain(3, true)),
      backendStatus('web-5', {
        ...drain(null, false),
        drain: { ...drain(null, false).drain, unknown: 'it has no agent' },
      }),
    ],
    {
      change: {
        settlesAt: at('12:10:00'),
        queued: [
          {
            id: 'web:3',
            plannedAt: at('12:09:00'),
            dueAt: at('12:10:00'),
            changes: ['web-6 added', 'web-1 weight 1 -> 2'],
          },
        ],
      },
    },
  );
  const drawn = lines(
    nodeStatus({
      pools: [pool],
      overrides: [
        { pool: 'web', backend: 'web-2', state: 'draining', weight: 0, since: at('12:00:00') },
        { pool: 'web', backend: 'web-1', weight: 2, since: '2024-04-30T12:00:00.000Z' },
      ],
    }),
  );
  const first = drawn.indexOf('web/web-2: draining, 12 connections left, until 13:00:00');
  assert.deepEqual(drawn.slice(first, first + 8), [
    'web/web-2: draining, 12 connections left, until 13:00:00',
    'web/web-3: drained, no connection is left',
    'web/web-4: the deadline ended the drain, 3 connections left',
    'web/web-5: draining, connections left: unknown (it has no agent), until 13:00:00',
    'the last change settles at 12:10:00',
    'web:3 waits until 12:10:00: web-6 added; web-1 weight 1 -> 2',
    'web/web-2: state draining and weight 0 set at runtime, at 12:00:00',
    'web/web-1: weight 2 set at runtime, at 2024-04-30 12:00:00',
  ]);
  for (const line of drawn.slice(first)) assert.ok(line.length <= 100, line);
});

test('status names the secret that flows are hashed with, and a former one for as long as connections need it', () => {
  const keyOf = (status: Partial<NodeStatus>) =>
    lines(nodeStatus({ keyFingerprint: '957ba6bd1fa59302', ...status })).find((line) => /^key /.test(line));
  assert.equal(keyOf({}), 'key      957ba6bd1fa59302');
  const until = (time: string) => ({ formerKey: { id: '3f0c9a7be1d25486', until: at(time) }, queued: [] });
  const pools = [
    poolStatus('web', [], { change: until('12:10:00') }),
    poolStatus('api', [], { change: until('12:09:00') }),
    poolStatus('dns', []),
  ];
  assert.equal(
    keyOf({ pools }),
    'key      957ba6bd1fa59302; 3f0c9a7be1d25486 for connections of before, until 12:10:00 at the latest (30 s more)',
  );
});

test('status says in a line what the defence does, and names attacks, lists and backends that need somebody', () => {
  assert.doesNotMatch(lines(nodeStatus()).join('\n'), /defend|ATTACK/);
  const drawn = lines(
    nodeStatus({
      defend: {
        mode: 'enforce',
        services: [
          { name: 'web', synRate: 61_200, cookies: 'active', absorbed: { did: 61_100, would: 0 } },
          { name: 'dns', absorbed: { did: 0, would: 40 } },
        ],
        lists: { allow: 2, block: 1_012_000, problems: ['/etc/block.txt: it cannot be read'] },
        withoutCookies: [{ pool: 'web', backend: 'web-3', why: 'its agent has another key' }],
        attacks: [
          {
            service: 'web',
            kind: 'syn_flood',
            mode: 'enforce',
            since: at('12:04:10'),
            rate: 61_200,
            peak: 80_300,
            packets: 7e6,
          },
        ],
      },
    }),
  );
  for (const line of [
    'defend          mode enforce; 1.01M prefixes blocked, 2 allowed; 61.1k packets/s dropped or answered; 40 packets/s would have been; SYN cookies for web',
    'LIST NOT READ   /etc/block.txt: it cannot be read',
    'NO SYN COOKIES  for web/web-3: "anyhop defend status" says why',
  ])
    assert.ok(drawn.includes(line), drawn.join('\n'));
  assert.match(drawn.join('\n'), /UNDER ATTACK {4}web: .* for 5 min, 61.2k\/s now, 80.3k\/s at most/);
});

test('status says which revision of a fleet is in force, why not the last one, and since when its store is away', () => {
  const fleet = {
    name: 'edge',
    revision: 7,
    revisionOfFleet: 7,
    store: { answeredAt: at('12:09:00') },
  };
  assert.ok(lines(nodeStatus({ fleet })).includes('fleet    edge, revision 7'));
  const drawn = lines(
    nodeStatus({
      fleet: {
        ...fleet,
        revisionOfFleet: 8,
        prepared: 9,
        behind: 'revision 8 is in force in the fleet, and 7 here: no',
        store: { answeredAt: at('12:08:00'), fault: { since: at('12:08:03'), why: 'connection refused' } },
      },
    }),
  );
  const row = (label: string): string | undefined => drawn.find((line) => line.startsWith(label));
  assert.match(row('fleet') ?? '', /edge, revision 7, revision 9 is ready to come$/);
  assert.match(row('BEHIND') ?? '', /revision 8 is in force in the fleet/);
  assert.match(row('STORE AWAY') ?? '', /since 12:08:03: connection refused$/);
  assert.match(
    lines(nodeStatus({ fleet: { ...fleet, revisionOfFleet: 6 } })).join('\n'),
    /edge, revision 7, the store has 6\n/,
  );
});
