/** A node with a section defend, from its config to its packets: what is blocked at runtime holds at once, over a kill, and until it is over. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import type { BlockReport, DefendReport } from '#anyhop/api/defend.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask, tell } from '#anyhop/cli/control-client.js';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { backendAddresses, VIP4 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 120_000;
const CLIENTS = '192.0.2.0/28';
/** The first clients of the self-test; real lists of addresses that nobody has hold them. */
const SELF_TEST = ['192.0.2.1', '2001:db8::1'];

describe('a node that defends', { skip: missingForLab()?.message ?? false, timeout: TIMEOUT_MS }, () => {
  let lab: Lab;
  let node: LabProcess;
  let file: string;
  let port = 30_000;

  before(async () => {
    const backends = [1, 2].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));
    const [service] = fourMixes(backends) as [LabService];
    lab = await createLab({ forwarders: 1, backends: 2, engine: 'xdp', services: [service] });
    file = join(dirname(lab.configFile), 'edge-1.yaml');
    edit({ mode: 'enforce', syn_cookies: { when: 'auto', mode: 'observe' }, allow: [], block: SELF_TEST });
    node = (await lab.startAll()).forwarders[0]!;
  });
  after(() => lab?.close());

  const edit = (defend: object): void => {
    const config = parse(readFileSync(file, 'utf8'));
    writeFileSync(file, stringify({ ...config, defend }));
  };
  const report = async () => (await ask(lab.socket(0), '/defend')) as DefendReport;
  /** @returns what became of the clients */
  const block = async (what: string, said: object = {}) => {
    const report = await tell(lab.socket(0), `/defend/${what}`, { prefixes: [CLIENTS], ...said });
    return (report as BlockReport).changes[0]?.effect;
  };
  /** How many of ten clients are answered. */
  const answered = async (): Promise<number> => {
    port += 100;
    const requests = getRequests(VIP4, HTTP_PORTS[0], { count: 10, firstSourcePort: port });
    const answers = await lab.request({ requests, concurrency: 10, timeoutMs: 1_000 });
    return answers.filter(({ backend }) => backend !== null).length;
  };

  test('starts with a list of addresses that its own self-test would use', async () => {
    assert.equal(await answered(), 10);
    const { services, lists } = await report();
    assert.deepEqual([lists.block.prefixes4, lists.block.prefixes6], [1, 1]);
    assert.ok(services[0]!.counts.syns >= 10);
    const status = (await ask(lab.socket(0), '/status')) as NodeStatus;
    assert.equal(status.defend?.services[0]?.cookies, 'idle');
  });

  test('blocks clients at once, also when it is killed and started again, and lets them in again', async () => {
    assert.equal(await block('block', { why: 'a test' }), 'added');
    assert.equal(await answered(), 0);
    assert.ok((await report()).services[0]!.counts.blocked.did >= 10);
    process.kill(node.pid, 'SIGKILL');
    await node.exited;
    assert.equal(await answered(), 0, 'the kernel goes on');
    node = await lab.startForwarder(0);
    assert.equal(await answered(), 0);
    assert.deepEqual(
      (await report()).blocks.map(({ prefix, why }) => [prefix, why]),
      [[CLIENTS, 'a test']],
    );
    assert.equal(await block('unblock'), 'removed');
    assert.equal(await answered(), 10);
  });

  test('ends a block when its time is over', async () => {
    await block('block', { forMs: 2_000 });
    assert.equal(await answered(), 0);
    const deadline = Date.now() + 10_000;
    while ((await report()).blocks.length > 0 && Date.now() < deadline) await delay(100);
    // It is over, and other lists are being compiled.
    let last = await answered();
    while (last < 10 && Date.now() < deadline) last = await answered();
    assert.equal(last, 10);
  });

  test('takes other rules and lists with a reload, and drops nothing when it only observes', async () => {
    edit({ mode: 'observe', block: [CLIENTS], source_rate: { packets: 1, per: '10s' } });
    await tell(lab.socket(0), '/reload', {});
    assert.equal(await answered(), 10);
    const { services } = await report();
    assert.ok(services[0]!.counts.blocked.would >= 10);
    assert.ok(services[0]!.counts.sourceRate.would >= 10);
  });
});
