/**
 * The drain of a proxy host with real forwarders and agents, under load: asked on the host, by the forwarders, and by a signal to end. In
 * the order that loses nothing, whichever it is.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { markPath } from '#anyhop/agent/draining-mark.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import type { L7Status } from '#anyhop/l7/status.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { run } from '../../scripts/lab/command.js';
import { type Running, startCall } from '../../scripts/lab/l7/call.js';
import { createL7Lab, L7_KEY, L7_TOOLS, type L7Lab, UPSTREAM_PORT } from '../../scripts/lab/l7/lab.js';
import { LOAD, type LoadResult } from '../../scripts/lab/l7/load.js';
import { missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import type { LabProcess, LogEvent } from '../../scripts/lab/process.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const HOST = 1;
const NAME = 'proxy-2';
const WAIT_MS = 90_000;
const DEADLINE = '20s';

describe('a proxy host that is drained under load', {
  skip: missingForLab(L7_TOOLS)?.message ?? false,
  timeout: 600_000,
}, () => {
  let lab: L7Lab;
  let tier: LabProcess;
  let nodes: readonly LabProcess[];
  let load: Running<LoadResult>;
  let mark = '';
  before(async () => {
    const health = { kind: 'http', port: 9612, path: '/anyhop-l7', interval: '1s', timeout: '800ms' };
    lab = await createL7Lab({
      forwarders: 2,
      proxies: 2,
      servers: ['shop-1', 'shop-2'],
      engine: 'xdp',
      pool: { settle_time: '2s', health },
    });
    const { directory } = lab.resources;
    const certificates = join(directory, 'certificates');
    mkdirSync(certificates);
    const authority = await createAuthority(directory);
    await authority.serverCertificate(join(certificates, 'web.pem'), ['shop.example.com']);
    lab.configure({
      l7: {
        key: L7_KEY,
        drain_deadline: DEADLINE,
        frontends: { web: { services: ['https', 'https6'], certificates, routes: [{ to: 'shop' }] } },
        upstreams: {
          shop: {
            servers: lab.upstreamServers.map(({ name, host4 }) => ({
              name,
              address: host4,
              port: UPSTREAM_PORT,
            })),
          },
        },
      },
    });
    await Promise.all([lab.startProxy(0), lab.startProxy(HOST).then((started) => (tier = started))]);
    ({ forwarders: nodes } = await lab.startAll());
    mark = markPath(join(directory, 'run'), parseAddress(lab.proxies[HOST]!.host4)!);
    const target = { host: 'shop.example.com', path: '/', cookies: false };
    load = await startCall(lab.resources, lab.client.namespace, LOAD, {
      ca: authority.file,
      protocol: 'http1',
      targets: [VIP4, VIP6].map((address) => ({ ...target, address })),
      clients: 16,
      requestsPerSecond: 80,
      requestsPerConnection: 20,
      timeoutMs: 15_000,
    });
    await soon('requests on both', async () => {
      const all = await Promise.all([0, HOST].map(requestsOf));
      return all.every((count) => count > 20);
    });
  });
  after(() => lab?.close());

  const status = async (index = HOST): Promise<L7Status> =>
    (await ask(join(lab.runDirectory(index), 'control.sock'), '/l7/status')) as L7Status;
  const requestsOf = async (index: number): Promise<number> =>
    (await status(index)).frontends[0]!.requests ?? 0;
  const stageBecomes = (stage: L7Status['stage']): Promise<void> =>
    soon(`stage ${stage}`, async () => (await status()).stage === stage);
  const onForwarder = (index: number, ...args: string[]): Promise<string> =>
    run([process.execPath, PROGRAM, ...args, '--socket', lab.socket(index)], { timeoutMs: WAIT_MS });
  const onEach = async (index: number, field: 'state' | 'health'): Promise<Set<string>> => {
    const { pools } = (await ask(lab.socket(index), '/status')) as NodeStatus;
    return new Set(pools.map(({ backends }) => backends.find(({ name }) => name === NAME)![field]));
  };
  const statesOf = (index: number): Promise<Set<string>> => onEach(index, 'state');
  const healthOf = (index: number): Promise<Set<string>> => onEach(index, 'health');
  const everywhere = (state: string, forwarders = [0, 1]): Promise<void> =>
    soon(`${state} on the forwarders`, async () => {
      const all = await Promise.all(forwarders.map(statesOf));
      return all.every((states) => states.size === 1 && states.has(state));
    });
  async function soon(what: string, isSo: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + WAIT_MS; !(await isSo().catch(() => false)); await sleep(200))
      assert.ok(Date.now() < end, `${what}: not within ${WAIT_MS} ms\n${tier.tail()}`);
  }
  /** The stages since some line of the log. */
  const stages = (from: number): string[] =>
    drains(from).flatMap(({ stage }) => (typeof stage === 'string' ? [stage] : []));
  const drains = (from: number): LogEvent[] =>
    tier.events.filter(({ event }) => event === 'l7_drain').slice(from);
  const drainLines = (): number => drains(0).length;
  /** Requests still come to the host after a while. */
  const serves = async (): Promise<void> => {
    const before = await requestsOf(HOST).catch(() => 0);
    await soon('requests', async () => (await requestsOf(HOST)) > before + 20);
  };

  it('closes when all forwarders have followed its wish, and serves again before they send to it', async () => {
    const from = drainLines();
    assert.match(await lab.l7(HOST, ['drain', '--wait']), /^drained: HAProxy has ended$/m);
    assert.deepEqual(stages(from), ['following', 'closing', 'drained']);
    assert.match(String(drains(from)[1]!['msg']), /^all forwarders drain this host: /);
    assert.ok(existsSync(mark));
    await everywhere('draining');
    const { drain } = await status();
    assert.deepEqual([drain?.askedBy, drain?.cutOff], ['host', 0]);
    assert.equal(drain?.forwarders?.filter(({ draining }) => draining).length, 2);
    // Each forwarder drained it before HAProxy closed.
    const closedAt = Date.parse(String(drains(from)[1]!['time']));
    for (const node of nodes) {
      const asked = node.events.find(({ event }) => event === 'drain_asked');
      assert.ok(Date.parse(String(asked?.['time'])) < closedAt);
    }
    await lab.l7(HOST, ['undrain']);
    await stageBecomes('serving');
    assert.equal(existsSync(mark), false);
    await everywhere('active');
    await serves();
  });

  it('closes when the forwarders drain it by themselves, and serves again when they no longer do', async () => {
    const from = drainLines();
    for (const index of [0, 1]) await onForwarder(index, 'drain', NAME);
    await stageBecomes('drained');
    assert.deepEqual(stages(from), ['closing', 'drained']);
    assert.equal((await status()).drain?.askedBy, 'forwarders');
    assert.equal(existsSync(mark), false);
    // Until its check has failed, forwarders that drain it no longer would send to a host that does not serve yet.
    await soon('down on the forwarders', async () => {
      const all = await Promise.all([0, 1].map(healthOf));
      return all.every((health) => health.size === 1 && !health.has('up'));
    });
    for (const index of [0, 1]) await onForwarder(index, 'undrain', NAME);
    await stageBecomes('serving');
    await everywhere('active');
    await serves();
  });

  it('drains at SIGTERM, leaves its mark, and is taken back by the next process once that serves', async () => {
    const stopping = tier.stop('SIGTERM', WAIT_MS);
    assert.deepEqual(await stopping, { code: 0, signal: null });
    assert.deepEqual(stages(0).slice(-3), ['following', 'closing', 'drained']);
    assert.ok(existsSync(mark));
    await everywhere('draining');
    tier = await lab.startProxy(HOST);
    await soon('no mark', async () => !existsSync(mark));
    await everywhere('active');
    await serves();
    assert.deepEqual(stages(0), [], 'it does not close since the forwarders still drained it');
  });

  it('has lost no request', async () => {
    const { failed, reasons, requests } = await load.stop();
    assert.deepEqual([failed, reasons], [0, {}]);
    assert.ok(requests > 1000, `${requests}`);
  });

  it('waits until the deadline for a forwarder that is dead, and says so', async () => {
    nodes[0]!.kill();
    const from = drainLines();
    const waiting = lab.l7(HOST, ['drain', '--wait']);
    await stageBecomes('unfollowed');
    const [, unfollowed] = drains(from);
    assert.match(
      String(unfollowed!['msg']),
      new RegExp(`^not all forwarders have followed within ${DEADLINE}: `),
    );
    assert.deepEqual(
      (unfollowed!['forwarders'] as { address: string; draining: boolean; silent?: true }[]).map(
        ({ draining, silent }) => [draining, silent],
      ),
      [
        [true, undefined],
        [false, true],
      ],
    );
    assert.match(
      await lab.l7(HOST, ['status']),
      /1 of 2 forwarders drain it \(not heard any more: 10\.0\.1\.1\)/,
    );
    assert.match(await waiting, /^drained: HAProxy has ended$/m);
    assert.deepEqual(stages(from), ['following', 'unfollowed', 'closing', 'drained']);
  });
});
