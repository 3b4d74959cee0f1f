/** Who is ready for traffic: a service by the owners of its slots that can be reached, a node by its link, its program and its services. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Logger } from '#anyhop/core/log.js';
import { type AssembledPool, fixedPath } from '#anyhop/node/assemble.js';
import { NodeReadiness, type ReadinessView } from '#anyhop/node/readiness.js';
import type { Health } from '#anyhop/table/state.js';
import type { Link } from '#anyhop/underlay/link.js';
import { NODE, parse } from '../config/fixture.js';
import { assembleConfig } from './assembled.js';

const CONFIG = parse(
  `${NODE}pools:
  web:
    table_size: 251
    backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}]
  dns:
    table_size: 251
    backends: [{name: d, address: 10.1.0.4, weight: 1}]
  spare:
    table_size: 251
    backends: [{name: s, address: 10.1.0.9}]
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: web-tls, vip: 203.0.113.10, protocol: tcp, port: 443, pool: web}
  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: dns}
`,
  'run',
);
const LINK: Link = {
  name: 'eth0',
  index: 2,
  mtu: 1500,
  isUp: true,
  hasCarrier: true,
  type: 'ether',
  mac: new Uint8Array(6),
  kind: undefined,
  vlan: undefined,
};
const NO_ROUTE = 'no route covers it';

interface Situation {
  /** Backends to which no path is known. */
  lost?: readonly string[];
  health?: Readonly<Record<string, Health>>;
  detached?: string;
}

/** A node that has started, in a situation that can change, and what it has logged. */
function startedNode() {
  let situation: Situation = {};
  const lines: { level: string; event: string; text: string }[] = [];
  const told =
    (level: string) =>
    ({ event }: { event: string }, text: string): void =>
      void lines.push({ level, event, text });
  const log = { info: told('info'), warn: told('warn') } as unknown as Logger;
  const isLost = (name: string): boolean => situation.lost?.includes(name) === true;
  let pools: readonly AssembledPool[] = [];
  const enter = (next: Situation): void => {
    situation = next;
    const path = fixedPath(1500);
    pools = assembleConfig(CONFIG, CONFIG.node, {
      generation: 1,
      path: (backend) => (isLost(backend.name) ? undefined : path(backend)),
      health: (_, { name }) => next.health?.[name] ?? (isLost(name) ? 'down' : 'up'),
    }).pools;
  };
  enter({});
  const readiness = new NodeReadiness({
    node: 'edge-1',
    interface: 'eth0',
    log,
    services: CONFIG.services,
    noWay: ({ name }) => (isLost(name) ? NO_ROUTE : undefined),
  });
  const view = (): ReadinessView => ({
    services: CONFIG.services,
    pools,
    detached: situation.detached,
  });
  return { readiness, view, lines, enter };
}

function start(node: ReturnType<typeof startedNode>): void {
  for (const step of ['health', 'engine', 'nextHops'] as const) node.readiness.passed(step);
  node.readiness.follow(node.view, { engine: 'xdp' });
}

const ready = ({ readiness }: ReturnType<typeof startedNode>): Record<string, boolean> =>
  Object.fromEntries(readiness.current().services.map((one) => [one.name, one.ready]));

describe('readiness', () => {
  it('comes when everything has passed and the node forwards, and goes for good when it stops', () => {
    const node = startedNode();
    const { readiness } = node;
    for (const step of ['health', 'engine'] as const) readiness.passed(step);
    const missing = [
      'next hops of the backends are being resolved',
      'the engine has not passed its self-test',
    ];
    const { ready: isReady, reasons, services } = readiness.current();
    assert.deepEqual([isReady, reasons], [false, missing]);
    const words = missing.join('; ');
    assert.deepEqual(services[2], { name: 'dns', ready: false, reason: words, pool: 'dns' });
    start(node);
    assert.equal(readiness.current().ready, true);
    assert.deepEqual(readiness.current().reasons, []);
    readiness.stops('SIGTERM');
    assert.deepEqual(readiness.current().reasons, ['the node stops: SIGTERM']);
    assert.deepEqual(ready(node), { web: false, 'web-tls': false, dns: false });
    assert.deepEqual(node.lines, [{ level: 'info', event: 'ready', text: 'ready: edge-1 forwards on eth0' }]);
  });

  it('is lost by a service none of whose slots has an owner that can be reached, and by no other service nor the node', () => {
    const node = startedNode();
    start(node);
    node.enter({ lost: ['a'] });
    assert.deepEqual(ready(node), { web: true, 'web-tls': true, dns: true });
    node.enter({ lost: ['a', 'b'] });
    const { ready: isReady, reasons, services } = node.readiness.current();
    assert.deepEqual([isReady, reasons], [true, []]);
    assert.deepEqual(services, [
      ...['web', 'web-tls'].map((name) => ({
        name,
        ready: false,
        reason: `no backend of the pool web can be reached: a, b: ${NO_ROUTE}`,
        pool: 'web',
        backends: { total: 2, reachable: 0, up: 0 },
      })),
      { name: 'dns', ready: true, pool: 'dns', backends: { total: 1, reachable: 1, up: 1 } },
    ]);
    node.readiness.look();
    node.readiness.look();
    node.enter({});
    node.readiness.look();
    assert.deepEqual(
      node.lines.slice(1).map(({ level, event, text }) => `${level} ${event}: ${text}`),
      [
        `warn service_not_ready: not ready: services web, web-tls: no backend of the pool web can be reached: a, b: ${NO_ROUTE}`,
        'info service_ready: ready again: services web, web-tls',
      ],
    );
  });

  it('does not depend on health: with all backends down by their checks some are tried', () => {
    const node = startedNode();
    start(node);
    node.enter({ health: { a: 'down', b: 'dead', d: 'down' } });
    assert.deepEqual(ready(node), { web: true, 'web-tls': true, dns: true });
    const [web] = node.readiness.current().services;
    assert.deepEqual(web?.backends, { total: 2, reachable: 2, up: 0 });
    // The one whose check is good cannot be reached, the other one can.
    node.enter({ lost: ['a'], health: { a: 'down', b: 'down' } });
    assert.equal(ready(node)['web'], true);
  });

  it('is lost by the node with its last service, whatever pools no service uses', () => {
    const node = startedNode();
    start(node);
    node.enter({ lost: ['a', 'b', 'd'] });
    const { ready: isReady, reasons } = node.readiness.current();
    assert.equal(isReady, false);
    assert.deepEqual(reasons, [
      `no backend of the pool web can be reached: a, b: ${NO_ROUTE}; no backend of the pool dns can be reached: d: ${NO_ROUTE}`,
    ]);
    node.readiness.look();
    node.readiness.look();
    assert.equal(node.lines.filter(({ event }) => event === 'not_ready').length, 1);
    node.enter({ lost: ['a', 'b'] });
    node.readiness.look();
    assert.equal(node.lines.at(-1)?.event, 'ready');
  });

  it('is lost with the link and with the program, and comes again with them', () => {
    const node = startedNode();
    start(node);
    const links = (link: Partial<Link> | undefined): void =>
      node.readiness.sawLinks(new Map(link === undefined ? [] : [['eth0', { ...LINK, ...link }]]));
    for (const [link, reason] of [
      [{ isUp: false }, 'interface eth0 is down'],
      [{ hasCarrier: false }, 'interface eth0 has no carrier'],
      [undefined, 'interface eth0 is gone'],
    ] as const) {
      links(link);
      const { ready: isReady, reasons, services } = node.readiness.current();
      assert.deepEqual([isReady, reasons, services[0]?.reason], [false, [reason], reason]);
      assert.equal(node.lines.at(-1)?.text, `not ready: ${reason}`);
      links({});
      assert.equal(node.readiness.current().ready, true);
      assert.equal(node.lines.at(-1)?.event, 'ready');
    }
    node.enter({ detached: 'another XDP program is on eth0' });
    node.readiness.look();
    assert.deepEqual(node.readiness.current().reasons, ['another XDP program is on eth0']);
    node.enter({});
    node.readiness.look();
    assert.deepEqual(node.lines.at(-1), {
      level: 'info',
      event: 'ready',
      text: 'ready: edge-1 forwards on eth0',
    });
  });
});
