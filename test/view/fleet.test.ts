/** A fleet as top and the dashboard show it: sums, who is down and why, who differs, and what is stale. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DefendSummary } from '#anyhop/api/defend.js';
import type { BackendStatus, NodeStatus } from '#anyhop/api/status.js';
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import { fleetView } from '#anyhop/view/fleet.js';
import type { NodeSeen } from '#anyhop/view/seen.js';
import { attack } from '../node/defend-report.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { NOW, seen, silent } from './seen.js';

const texts = (nodes: readonly NodeSeen[]): string[] =>
  fleetView(nodes, NOW).troubles.map(({ level, text }) => `${level} ${text}`);

const web = (...members: BackendStatus[]): Partial<NodeStatus> => ({ pools: [poolStatus('web', members)] });

const down = (name: string, change: Partial<BackendStatus> = {}): BackendStatus =>
  backendStatus(name, {
    health: 'down',
    healthReason: 'connection refused',
    healthSince: '2024-05-01T12:04:48.000Z',
    ...change,
  });

test('a fleet at rest has no trouble, and everything is up', () => {
  const view = fleetView([seen('edge-1'), seen('edge-2')], NOW);
  assert.deepEqual(view.troubles, []);
  assert.equal(view.summary.level, 'ok');
  assert.deepEqual(view.summary.nodes, { total: 2, answering: 2, ready: 2 });
  assert.deepEqual(view.summary.backends, { total: 2, up: 2, draining: 0, down: 0 });
  assert.equal(view.summary.staleMs, undefined);
});

test('a backend that is down on one node is down, with the reason, the time and the node', () => {
  const nodes = [
    seen('edge-1', web(backendStatus('web-1'), backendStatus('web-2'))),
    seen('edge-2', web(backendStatus('web-1'), down('web-2'))),
  ];
  const view = fleetView(nodes, NOW);
  const row = view.backends.find(({ name }) => name === 'web-2')!;
  assert.equal(row.state, 'down');
  assert.equal(row.reason, 'connection refused');
  assert.equal(row.sinceMs, 12_000);
  assert.deepEqual(row.downOn, ['edge-2']);
  assert.ok(texts(nodes).includes('warn web: web-2 is down for 12 s on edge-2: connection refused'));
});

test('backends of a pool that are down for the same reason are one trouble', () => {
  const names = ['web-1', 'web-2', 'web-3', 'web-4', 'web-5'];
  const nodes = [seen('edge-1', web(...names.map((name) => down(name)), backendStatus('web-6')))];
  assert.deepEqual(texts(nodes), ['warn web: web-1, web-2, web-3 and 2 more are down: connection refused']);
});

test('a VIP that hosts do not have is a trouble beside what their checks say', () => {
  const agent = { reachable: true, at: '2024', missingVips: ['203.0.113.10'] };
  const nodes = [
    seen('edge-1', web(down('web-1', { agent }), backendStatus('web-2', { agent }), backendStatus('web-3'))),
  ];
  assert.deepEqual(texts(nodes), [
    'warn web: web-1 is down for 12 s: connection refused',
    'warn web: VIP 203.0.113.10 is not on the hosts of web-1, web-2, which drop its packets',
  ]);
});

test('a backend without a next hop is unreachable, and the next hop says why', () => {
  const lost = backendStatus('web-1', { reachable: false, nextHop: { missing: 'no route covers it' } });
  const [row] = fleetView([seen('edge-1', web(lost, backendStatus('web-2')))], NOW).backends;
  assert.deepEqual([row.state, row.reason], ['unreachable', 'no route covers it']);
});

test('a backend tells its slowest check, and how old that is', () => {
  const last = (tookMs: number) => ({ at: '2024-05-01T12:04:58.000Z', tookMs, outcome: 'good' as const });
  const checks = [
    { name: 'tcp 80', last: last(0.5) },
    { name: 'http 9612', last: last(12.25) },
    { name: 'tunnel' },
  ];
  const [row] = fleetView([seen('edge-1', web(backendStatus('web-1', { checks })))], NOW).backends;
  assert.deepEqual(row.check, { name: 'http 9612', tookMs: 12.25, ageMs: 2000 });
});

test('a drain is as far as on the node where it is furthest back', () => {
  const drain = (connections: number | null, done: boolean): BackendStatus =>
    backendStatus('web-1', {
      state: 'draining',
      drain: { since: '2024-05-01T12:00:00.000Z', deadline: '2024-05-01T13:00:00.000Z', connections, done },
    });
  const view = (...drains: BackendStatus[]) =>
    fleetView(
      drains.map((one, i) => seen(`edge-${i}`, web(one, backendStatus('web-2')))),
      NOW,
    );
  assert.deepEqual(
    view(drain(3, false), drain(7, false)).troubles.map(({ text }) => text),
    ['web: web-1 is draining, 7 connections left'],
  );
  assert.equal(view(drain(0, true), drain(1, false)).backends[0].drain?.done, false);
  assert.equal(view(drain(null, false), drain(1, false)).backends[0].drain?.connections, null);
  assert.equal(view(drain(0, true), drain(0, true)).troubles[0].text, 'web: web-1 is drained');
});

test('a node that is silent counts no more while another answers, and is named with its age', () => {
  const busy = { verdicts: { forwarded: { packets: 5, packetsPerSecond: 1000 } } };
  const nodes = [seen('edge-1'), silent('edge-2', 8000, busy)];
  const view = fleetView(nodes, NOW);
  assert.equal(view.summary.packetsPerSecond.forward, 1);
  assert.deepEqual(view.summary.nodes, { total: 2, answering: 1, ready: 1 });
  assert.deepEqual(texts(nodes), ['bad edge-2 has not answered for 8 s: connection refused']);
});

test('when no node answers, the last picture stays and says how old it is', () => {
  const busy = { verdicts: { forwarded: { packets: 5, packetsPerSecond: 1000 } } };
  const view = fleetView([silent('edge-1', 4000, busy), { label: 'edge-2', silence: 'no such socket' }], NOW);
  assert.equal(view.summary.staleMs, 4000);
  assert.equal(view.summary.packetsPerSecond.forward, 1000);
  assert.deepEqual(
    view.nodes.map(({ state }) => state),
    ['silent', 'unknown'],
  );
});

test('an answer that is too old is stale though nobody said that the node is silent', () => {
  const old = { label: 'edge-1', answer: { at: NOW - 3001, status: nodeStatus() } };
  assert.equal(fleetView([old], NOW).nodes[0].state, 'silent');
  assert.equal(fleetView([old], NOW, { staleAfterMs: 10_000 }).nodes[0].state, 'ready');
});

test('the one of three nodes with other owners, another key or another version is the one that differs', () => {
  const other = { ...web(backendStatus('web-1'), backendStatus('web-9')), version: '9.9.9' };
  const nodes = [seen('edge-1'), seen('edge-2', { ...other, keyFingerprint: 'ff' }), seen('edge-3')];
  const says = texts(nodes);
  assert.deepEqual(
    says.filter((text) => text.includes('than')),
    [
      'bad edge-2 has another key than edge-1, edge-3: flows reach other backends through it',
      'warn edge-2 has other owners in pool web than edge-1, edge-3',
      'note edge-2 runs another version than edge-1, edge-3',
    ],
  );
});

test('of two nodes that differ, both do', () => {
  const view = fleetView([seen('edge-1'), seen('edge-2', { keyFingerprint: 'ff' })], NOW);
  assert.deepEqual(
    view.nodes.map(({ detail }) => detail?.differences),
    [[{ what: 'key', from: ['edge-2'] }], [{ what: 'key', from: ['edge-1'] }]],
  );
});

test('services that are not ready, a pool in need, and drops for want of a backend are the worst troubles', () => {
  const members = [down('web-1'), down('web-2')];
  const nodes = [
    seen('edge-1', {
      ...web(...members),
      readiness: {
        ready: true,
        reasons: [],
        services: [{ name: 'http', ready: false, reason: 'no backend can be reached', pool: 'web' }],
      },
      verdicts: { drop_no_backend: { packets: 100, packetsPerSecond: 50 } },
    }),
  ];
  const says = texts(nodes);
  assert.deepEqual(says.slice(0, 2), [
    'bad service http is not ready: no backend can be reached',
    'bad pool web has no backend up: all are tried',
  ]);
  assert.match(says[2], /^bad drop_no_backend: 50 packets\/s are dropped: no backend can take it/);
});

test('scans that the node drops are no trouble until they are more than one in a hundred', () => {
  const verdicts = (drops: number) => ({
    forwarded: { packets: 1, packetsPerSecond: 1000 },
    drop_no_service: { packets: 1, packetsPerSecond: drops },
  });
  assert.deepEqual(texts([seen('edge-1', { verdicts: verdicts(5) })]), []);
  assert.match(texts([seen('edge-1', { verdicts: verdicts(50) })])[0], /^warn 4\.76 % of .* drop_no_service/);
});

test('a verdict of a newer node tells its action by its name', () => {
  const verdicts = {
    drop_new: { packets: 1, packetsPerSecond: 3 },
    odd_answered: { packets: 1, packetsPerSecond: 0 },
  };
  const rows = fleetView([seen('edge-1', { verdicts })], NOW).verdicts;
  assert.deepEqual(
    rows.map(({ action }) => action),
    ['drop', 'answer'],
  );
});

test('events of all nodes are one list, the newest first, with their nodes', () => {
  const event = (at: string, message: string) => ({
    at: `2024-05-01T12:0${at}.000Z`,
    level: 'info' as const,
    event: 'x',
    message,
  });
  const nodes = [
    seen('edge-1', {}, { events: [event('0:00', 'a'), event('2:00', 'c')] }),
    seen('edge-2', {}, { events: [event('1:00', 'b'), event('1:00', 'b2')] }),
  ];
  assert.deepEqual(
    fleetView(nodes, NOW).events.map(({ node, message }) => `${node} ${message}`),
    ['edge-1 c', 'edge-2 b2', 'edge-2 b', 'edge-1 a'],
  );
});

const count = fc.nat({ max: 1e9 });
const traffic = fc.record({ packets: count, bytes: count, packetsPerSecond: count, bytesPerSecond: count });
const member = fc
  .record({
    number: fc.integer({ min: 1, max: 6 }),
    state: fc.constantFrom('active' as const, 'draining' as const),
    health: fc.constantFrom('up' as const, 'down' as const, 'dead' as const),
    reachable: fc.boolean(),
    traffic,
  })
  .map(({ number, traffic: counts, ...rest }) => backendStatus(`web-${number}`, { ...rest, ...counts }));
const members = fc.uniqueArray(member, { minLength: 1, maxLength: 6, selector: ({ name }) => name });
const verdicts = fc.dictionary(
  fc.constantFrom(...VERDICTS.map(({ name }) => name)),
  fc.record({ packets: count, packetsPerSecond: count }),
);
const fleet = fc.array(
  fc
    .record({ members, verdicts, traffic, isSilent: fc.boolean() })
    .map(({ members: some, verdicts: counts, traffic: served, isSilent }) => ({
      isSilent,
      status: {
        pools: [poolStatus('web', some)],
        verdicts: counts,
        services: nodeStatus().services.map((service) => ({ ...service, ...served })),
      },
    })),
  { minLength: 1, maxLength: 4 },
);
/** Tables are made for each run. */
const RUNS = { numRuns: 40 };
const asSeen = (nodes: { isSilent: boolean; status: Partial<NodeStatus> }[]): NodeSeen[] =>
  nodes.map(({ isSilent, status }, i) =>
    isSilent ? silent(`edge-${i}`, 9000, status) : seen(`edge-${i}`, status),
  );

test('law: every backend counts once, as up, draining or down', () => {
  fc.assert(
    fc.property(fleet, (nodes) => {
      const { summary, backends } = fleetView(asSeen(nodes), NOW);
      const { total, up, draining, down: lost } = summary.backends;
      assert.equal(up + draining + lost, total);
      assert.equal(total, backends.length);
      assert.ok(up >= 0 && draining >= 0 && lost >= 0);
    }),
    RUNS,
  );
});

test('law: traffic is the sum of the nodes that answer, and verdicts and nodes tell the same sum', () => {
  fc.assert(
    fc.property(fleet, (nodes) => {
      const used = nodes.some(({ isSilent }) => !isSilent)
        ? nodes.filter(({ isSilent }) => !isSilent)
        : nodes;
      const { summary, services, verdicts: rows } = fleetView(asSeen(nodes), NOW);
      const total = (of: (status: Partial<NodeStatus>) => number): number =>
        used.reduce((all, { status }) => all + of(status), 0);
      assert.equal(
        services[0].packets,
        total(({ services: some }) => some![0].packets),
      );
      assert.equal(
        summary.bytesPerSecond,
        total(({ services: some }) => some![0].bytesPerSecond),
      );
      const rates = total(({ verdicts: some }) =>
        Object.values(some!).reduce((all, { packetsPerSecond }) => all + packetsPerSecond, 0),
      );
      const { forward, answer, pass, drop } = summary.packetsPerSecond;
      assert.equal(forward + answer + pass + drop, rates);
      assert.equal(
        rows.reduce((all, { packetsPerSecond }) => all + packetsPerSecond, 0),
        rates,
      );
    }),
    RUNS,
  );
});

test('law: the order of the nodes changes no count, state or level', () => {
  fc.assert(
    fc.property(fleet, (nodes) => {
      const forth = fleetView(asSeen(nodes), NOW);
      const back = fleetView(asSeen(nodes).toReversed(), NOW);
      assert.deepEqual(back.summary, forth.summary);
      const told = ({ backends }: typeof forth) =>
        backends
          .map(({ name, state, packets, isUp }) => ({ name, state, packets, isUp }))
          .toSorted((a, b) => (a.name < b.name ? -1 : 1));
      assert.deepEqual(told(back), told(forth));
    }),
    RUNS,
  );
});

/** Of the only service of a node. */
function defends(change: Partial<DefendSummary> = {}): Partial<NodeStatus> {
  const services = [{ name: 'http', absorbed: { did: 0, would: 0 }, cookies: 'idle' as const }];
  const lists = { allow: 0, block: 0, problems: [] };
  return { defend: { mode: 'enforce', services, lists, withoutCookies: [], attacks: [], ...change } };
}

test('an attack is one trouble with the packets of all nodes, and is over when all say so', () => {
  const early = attack({ service: 'http', since: '2024-05-01T12:04:00.000Z', rate: 1000 });
  const late = attack({ service: 'http', since: '2024-05-01T12:04:30.000Z', rate: 500 });
  const both = [
    seen('edge-1', defends({ attacks: [early] })),
    seen('edge-2', defends({ attacks: [late] })),
    seen('edge-3'),
  ];
  assert.deepEqual(texts(both), [
    'warn service http is under attack for 60 s on edge-1, edge-2: SYN flood, 1.5k packets/s',
  ]);
  const over = { ...early, until: '2024-05-01T12:04:50.000Z', rate: 0 };
  assert.deepEqual(texts([seen('edge-1', defends({ attacks: [over] }))]), []);
});

test('an attack that rules only count passes, and the trouble says so', () => {
  const counted = attack({ service: 'http', kind: 'source_rate', mode: 'observe', rate: 20 });
  const [text] = texts([seen('edge-1', defends({ attacks: [counted] }))]);
  assert.match(text!, /sources above their limit, 20 packets\/s; it passes, since the rule only counts/);
});

test('another flow hash key is a note for as long as connections of the former one may live, on whichever node', () => {
  const pools = (until: string) => [
    poolStatus('web', [], {
      change: { formerKey: { id: '3f0c9a7be1d25486', until: `2024-05-01T12:${until}.000Z` }, queued: [] },
    }),
  ];
  const keyFingerprint = '957ba6bd1fa59302';
  const { troubles } = fleetView(
    [
      seen('edge-1', { keyFingerprint, pools: pools('09:00') }),
      seen('edge-2', { keyFingerprint, pools: pools('10:30') }),
    ],
    NOW,
  );
  assert.deepEqual(
    troubles.flatMap(({ level, kind, text }) => (kind === 'key_changes' ? [`${level} ${text}`] : [])),
    [
      'note the flow hash key changes, 3f0c9a7be1d25486 -> 957ba6bd1fa59302: connections of before need the former one for 5 min more (pool web)',
    ],
  );
});

test('backends that cannot take cookies are a note while no cookie is used, and the worst when one is', () => {
  const withoutCookies = ['web-1', 'web-2'].map((backend) => ({
    pool: 'web',
    backend,
    why: 'its agent is old',
  }));
  assert.deepEqual(texts([seen('edge-1', defends({ withoutCookies }))]), [
    'note web: web-1, web-2 cannot take SYN cookies: its agent is old',
  ]);
  const services = [{ name: 'http', absorbed: { did: 9, would: 0 }, cookies: 'active' as const }];
  assert.deepEqual(texts([seen('edge-1', defends({ withoutCookies, services }))]), [
    'bad web: web-1, web-2 cannot take SYN cookies, and SYNs beyond a cap are dropped: its agent is old',
  ]);
});

test('a list that is not as its file is a trouble, once for all nodes', () => {
  const lists = { allow: 0, block: 9, problems: ['/etc/anyhop/block.txt: it does not exist'] };
  const [one, ...more] = texts([seen('edge-1', defends({ lists })), seen('edge-2', defends({ lists }))]);
  assert.equal(one, 'warn a list is not in force as it is written: /etc/anyhop/block.txt: it does not exist');
  assert.deepEqual(more, []);
});

test('what the defence drops is no trouble by itself, and hides no other drops', () => {
  const verdicts = (others: number) => ({
    forwarded: { packets: 0, packetsPerSecond: 900 },
    drop_blocked: { packets: 0, packetsPerSecond: 1_000_000 },
    drop_syn_limited: { packets: 0, packetsPerSecond: 5 },
    drop_no_service: { packets: 0, packetsPerSecond: others },
  });
  assert.deepEqual(texts([seen('edge-1', { verdicts: verdicts(0) })]), []);
  assert.match(texts([seen('edge-1', { verdicts: verdicts(100) })])[0]!, /^warn 10 % .* drop_no_service/);
});
