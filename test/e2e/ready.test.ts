/**
 * A node that cannot forward is not ready, within a second, and is ready again when it can: its link, its last route, its last
 * neighbour and its program are taken from it, one after the other, in a real network, under each engine.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Readiness } from '#anyhop/api/status.js';
import type { EngineChoice } from '#anyhop/config/types.js';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { HOST_LINK, VIP4 } from '../../scripts/lab/topology.js';
import { inside, takeOff } from '../../scripts/native/attached.js';
import { ask } from '../api/fake-node.js';

const TIMEOUT_MS = 120_000;
const NOT_READY_MS = 1_000;
/** A neighbour that failed is asked again every 5 s; a program that was put back has to stay for a second. */
const READY_AGAIN_MS = 15_000;
const FAILED_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
/** The log is told within a quarter of a second. */
const LOG_POLLS_MAX = 250;

/** The program of `anyhop pass`. */
const OTHER_PROGRAM = fileURLToPath(new URL('../../../dist/native/pass.bpf.o', import.meta.url));

const skip = missingForLab()?.message ?? false;

/** One service of two backends over IPv4, so that one route and one gateway are all there is. */
async function startNode(engine: EngineChoice): Promise<{ lab: Lab; node: LabProcess }> {
  const backends = [1, 2].map((n) => ({ name: `web-${n}`, address: `10.1.${n}.1`, agent: false }));
  const lab = await createLab({
    forwarders: 1,
    backends: 2,
    engine,
    webServers: false,
    services: [{ name: 'web', vip: VIP4, port: 80, backends, secondChance: 'off' }],
  });
  try {
    return { lab, node: await lab.startForwarder(0) };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

for (const engine of NODE_ENGINES) {
  test(`on ${engine} a node is not ready without link, route, neighbour or program, and is ready again with them`, {
    skip,
    timeout: TIMEOUT_MS,
  }, async (t) => {
    const { lab, node } = await startNode(engine);
    try {
      for (const { what, reason, take, giveBack } of losses(lab, engine)) {
        const gone = await becomes(lab, node, false, NOT_READY_MS, what, take, reason);
        const [service] = gone.readiness.services;
        assert.deepEqual([service?.name, service?.ready], ['web', false]);
        assert.match(gone.readiness.reasons.join('; '), reason);
        assert.match(service?.reason ?? '', reason);
        const back = await becomes(lab, node, true, READY_AGAIN_MS, what, giveBack);
        assert.deepEqual(back.readiness.reasons, []);
        t.diagnostic(
          `${what}: not ready ${gone.ms.toFixed(0)} ms after the loss, ready ${back.ms.toFixed(0)} ms after the return`,
        );
      }
      assert.ok(node.running, node.tail());
    } finally {
      await lab.close();
    }
  });
}

interface Loss {
  readonly what: string;
  readonly reason: RegExp;
  /** Resolves to when it was lost, if that is not when it was called. */
  readonly take: () => Promise<number | undefined>;
  readonly giveBack: () => Promise<unknown>;
}

function losses(lab: Lab, engine: EngineChoice): Loss[] {
  const [edge] = lab.forwarders as [Lab['forwarders'][0]];
  const onEdge = (command: string): Promise<string> =>
    lab.exec(edge.namespace, ['ip', ...command.split(' ')]);
  const onRouter = (command: string): Promise<string> => lab.exec(lab.router, ['ip', ...command.split(' ')]);
  const addRoute = (): Promise<string> => onEdge(`route add default via ${edge.router4}`);
  const common: Loss[] = [
    {
      what: 'no carrier',
      reason: /interface eth0 has no carrier/,
      take: () => done(onRouter(`link set ${edge.name} down`)),
      giveBack: () => onRouter(`link set ${edge.name} up`),
    },
    {
      what: 'link down',
      reason: /interface eth0 is down/,
      take: () => done(onEdge(`link set ${HOST_LINK} down`)),
      async giveBack() {
        await onEdge(`link set ${HOST_LINK} up`);
        await addRoute();
      },
    },
    {
      what: 'the default route deleted',
      reason: /no backend of the pool web can be reached: web-1, web-2: no route covers it/,
      take: () => done(onEdge('route del default')),
      giveBack: addRoute,
    },
    {
      what: 'an unreachable route to all backends',
      reason: /web-1, web-2: an unreachable route refuses it/,
      take: () => done(onEdge('route add unreachable 10.1.0.0/16')),
      giveBack: () => onEdge('route del unreachable 10.1.0.0/16'),
    },
    {
      what: 'the last neighbour FAILED',
      reason: /web-1, web-2: its gateway 10\.0\.1\.254 does not answer ARP on eth0/,
      async take() {
        const monitor = await lab.resources.startProcess('ip monitor', edge.namespace, [
          'ip',
          'monitor',
          'neigh',
        ]);
        await onRouter(`link set ${edge.name} arp off`);
        await onEdge(`neigh change ${edge.router4} dev ${HOST_LINK} nud probe`);
        await monitor.waitForLine((line) => /FAILED/.test(line), 'FAILED', FAILED_TIMEOUT_MS);
        const atMs = performance.now();
        await monitor.stop();
        return atMs;
      },
      giveBack: () => onRouter(`link set ${edge.name} arp on`),
    },
  ];
  if (engine === 'portable') {
    return [
      ...common,
      {
        what: 'the host filter flushed',
        reason: /the filter that keeps the host away from packets for VIPs was taken off eth0/,
        take: () => done(lab.exec(edge.namespace, ['nft', 'flush', 'ruleset'])),
        giveBack: async () => undefined, // the engine puts it back by itself
      },
    ];
  }
  const other = `dev ${HOST_LINK} xdpdrv`;
  return [
    ...common,
    {
      what: 'the program detached',
      reason: /the program was taken off eth0/,
      take: () => done(inside(edge.namespace, () => takeOff(HOST_LINK))),
      giveBack: async () => undefined, // the engine puts it back by itself
    },
    {
      what: 'the program detached and another one in its place',
      reason: /another XDP program \(.*\) is on eth0/,
      async take() {
        // The engine is as quick as `ip`: who comes first has the place.
        for (;;) {
          await inside(edge.namespace, () => takeOff(HOST_LINK));
          try {
            await onEdge(`link set ${other} obj ${OTHER_PROGRAM} sec xdp`);
            return undefined;
          } catch (error) {
            if (!/active BPF XDP link|busy/i.test(String(error))) throw error;
          }
        }
      },
      giveBack: () => onEdge(`link set ${other} off`),
    },
  ];
}

async function done(work: Promise<unknown>): Promise<undefined> {
  await work;
}

/** Does it, and waits until the node says that it is ready, or is not. */
async function becomes(
  lab: Lab,
  node: LabProcess,
  wanted: boolean,
  limitMs: number,
  what: string,
  act: () => Promise<unknown>,
  reason = /^/,
): Promise<{ ms: number; readiness: Readiness }> {
  const calledMs = performance.now();
  const atMs = await act();
  const startMs = typeof atMs === 'number' ? atMs : calledMs;
  // On a busy machine the command itself takes its time; when in it something was lost nobody knows.
  const endMs = performance.now() + limitMs;
  for (;;) {
    const { json } = await ask(lab.socket(0), '/ready');
    const ms = performance.now() - startMs;
    // What was lost a moment before may still be the reason.
    if (json.ready === wanted && reason.test(json.reasons.join('; '))) {
      assert.ok(performance.now() <= endMs, `${what}: ${wanted ? 'ready' : 'not ready'} only after ${ms} ms`);
      await logSays(node, wanted ? 'ready' : 'not_ready');
      return { ms, readiness: json };
    }
    assert.ok(performance.now() < endMs, `${what}: still ${JSON.stringify(json)}\n${node.tail()}`);
    await delay(POLL_MS);
  }
}

/** Waits until this is the last that the log says of it. */
async function logSays(node: LabProcess, wanted: 'ready' | 'not_ready'): Promise<void> {
  const last = (): unknown =>
    node.events.map(({ event }) => event).findLast((event) => event === 'ready' || event === 'not_ready');
  for (let i = 0; i < LOG_POLLS_MAX && last() !== wanted; i++) await delay(POLL_MS);
  assert.equal(last(), wanted, node.tail());
}
