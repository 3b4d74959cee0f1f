/**
 * A fleet whose members do not reach the store, or each other: by a link that is down, and by packets that are dropped without a word. Whoever
 * is cut off is named, and is not ready until it has what the others have; clients see nothing of it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'yaml';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLabFleet, type LabFleet } from '../../scripts/lab/fleet.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { backendAddresses, type Host, VIP4 } from '../../scripts/lab/topology.js';

const WAIT_MS = 30_000;
const POOL = 'v4-over-v4';
const BACKENDS = [1, 2].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));
const EDGE = 'forwarder/edge-1';
const ALL = /is in force on 4 members/;

describe('a fleet in parts that do not reach each other', {
  skip: missingForLab(['etcd'])?.message ?? false,
  timeout: 300_000,
}, () => {
  let lab: Lab;
  let fleet: LabFleet;
  let edge: Host;
  let node: LabProcess;
  let weight = 1;

  before(async () => {
    const [service] = fourMixes(BACKENDS) as [LabService];
    const services = [{ ...service, secondChance: 'on' as const }];
    lab = await createLab({
      forwarders: 2,
      backends: 2,
      engine: 'xdp',
      services,
      pool: { settle_time: '2m' },
    });
    edge = lab.forwarders[0]!;
    fleet = await createLabFleet(lab);
    const forwarders = [0, 1].map((index) => fleet.startForwarder(index, { until: 'fleet_waits' }));
    const agents = [0, 1].map((index) => fleet.startAgent(index, { until: 'fleet_waits' }));
    const all = await Promise.all([...forwarders, ...agents]);
    node = all[0]!;
    await fleet.anyhop(['fleet', 'apply', fleet.file]);
    await Promise.all(all.map((each) => each.waitForEvent('ready', WAIT_MS)));
  });
  after(() => lab?.close());

  /** Another weight; it does not wait for the changes before it. */
  const apply = (...args: string[]): Promise<string> => {
    weight = (weight % 5) + 1;
    fleet.change(({ pools }) => {
      pools[POOL].backends[0].weight = weight;
    });
    return fleet.anyhop(['fleet', 'apply', fleet.file, '--force', ...args]);
  };
  const nft = (host: Host, rules: string): Promise<string> =>
    lab.exec(host.namespace, [
      'nft',
      `table inet cut {
        chain in { type filter hook input priority 0; ${rules} }
        chain out { type filter hook output priority 0; ${rules} }
      }`,
    ]);
  const mend = (host: Host): Promise<string> =>
    lab.exec(host.namespace, ['nft', 'delete', 'table', 'inet', 'cut']);
  const status = (): Promise<string> =>
    lab.exec(edge.namespace, [
      process.execPath,
      PROGRAM,
      ...['status', '--socket', join(dirname(fleet.file), `${edge.name}.sock`)],
    ]);
  const until = async (what: RegExp, look: () => Promise<string>): Promise<void> => {
    let seen = '';
    for (const end = Date.now() + WAIT_MS; ; await delay(500)) {
      seen = await look().catch((error: Error) => error.message);
      if (what.test(seen)) return;
      if (Date.now() > end) throw new Error(`not within ${WAIT_MS} ms: ${what}\n${seen}`);
    }
  };
  /** Clients ask all the time, while something is done. @returns how many questions were answered, which are all of them */
  const underLoad = async (task: () => Promise<void>): Promise<number> => {
    let isDone = false;
    let answered = 0;
    const load = (async () => {
      for (let port = 20_000; !isDone; port = port > 50_000 ? 20_000 : port + 50) {
        const plan = getRequests(VIP4, HTTP_PORTS[0], { count: 50, firstSourcePort: port });
        const answers = await lab.request({ requests: plan, concurrency: 4, timeoutMs: 5_000 });
        const lost = answers.filter(({ backend }) => backend === undefined);
        assert.deepEqual(lost, []);
        answered += answers.length;
      }
    })();
    try {
      await task();
    } finally {
      isDone = true;
      await load;
    }
    return answered;
  };

  test('names a forwarder whose link is down, which is not ready until the next revision, and remembers what it has missed', async (t) => {
    await lab.exec(lab.router, ['sysctl', '-qw', `net.ipv6.conf.${edge.name}.keep_addr_on_down=1`]);
    await lab.routeTo([1]); // as a router does that hears of the link
    const answered = await underLoad(async () => {
      await lab.exec(lab.router, ['ip', 'link', 'set', edge.name, 'down']);
      await until(/forwarder\/edge-1 does not answer/, () => apply());
      await node.waitForEvent('fleet_store_away', WAIT_MS);
      assert.match(await apply('--without', EDGE), /is in force on 3 members/);
      assert.match(await apply('--without', EDGE), /is in force on 3 members/);
      await lab.exec(lab.router, ['ip', 'link', 'set', edge.name, 'up']);
      await node.waitForEvent('fleet_store_back', WAIT_MS);
      await until(/revision 3 is in force in the fleet, and 1 here/, status);
      await until(ALL, () => apply());
      assert.deepEqual((await node.waitForEvent('fleet_missed', WAIT_MS))['revisions'], [2, 3]);
    });
    await lab.routeTo([0, 1]);
    t.diagnostic(`${answered} requests were answered`);
    assert.ok(answered > 100, `${answered}`);
  });

  test('names a forwarder whose packets to the store are dropped, which goes on by what it has until it learns of more', async (t) => {
    const answered = await underLoad(async () => {
      await nft(edge, `ip daddr ${fleet.store.host4} drop; ip saddr ${fleet.store.host4} drop;`);
      await until(/forwarder\/edge-1 does not answer/, () => apply());
      assert.match(await status(), /ready/);
      await lab.routeTo([1]); // before it hears that it is behind, and is withdrawn
      assert.match(await apply('--without', EDGE), /is in force on 3 members/);
      await mend(edge);
      await until(/is in force in the fleet, and 4 here/, status);
      await until(ALL, () => apply());
      await lab.routeTo([0, 1]);
    });
    t.diagnostic(`${answered} requests were answered`);
  });

  test('takes a change everywhere when all reach the store, and forwarders do not reach each other, nor agents', async () => {
    const pairs = [
      [lab.forwarders[0]!, lab.forwarders[1]!],
      [lab.backends[0]!, lab.backends[1]!],
    ] as const;
    for (const [one, other] of pairs)
      await nft(one, `ip daddr ${other.host4} drop; ip saddr ${other.host4} drop;`);
    const answered = await underLoad(async () => {
      assert.match(await apply(), ALL);
    });
    assert.ok(answered > 0);
    assert.match(await fleet.anyhop(['fleet', 'status']), /forwarder\/edge-1 .* ready/);
    for (const [one] of pairs) await mend(one);
  });

  test('lets a forwarder that begins anew remember what was in force before it came', async () => {
    assert.match(await apply(), ALL);
    assert.match(await apply(), ALL);
    await node.stop('SIGTERM');
    const directory = parse(readFileSync(fleet.fileOf(edge), 'utf8')).node.state_dir;
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
    node = await fleet.startForwarder(0);
    const { revisions } = await node.waitForEvent('fleet_missed', WAIT_MS);
    const head = Number(/revision (\d+)/.exec(await fleet.anyhop(['fleet', 'status']))?.[1]);
    assert.deepEqual((revisions as number[]).slice(-2), [head - 2, head - 1]);
  });
});
