/** A fleet before three real etcd servers, of which some are killed, stall, or have compacted what a watch would ask for. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isInstalled } from '../isolation.js';
import { type Etcd, startEtcd } from './etcd.js';
import { TestFleet, type TestMember, until } from './fleet.js';

const TIMEOUT_MS = 300_000;
const MEMBERS = 6;
const skip = ['etcd', 'etcdctl'].every(isInstalled) ? false : 'needs etcd and etcdctl';

describe('a fleet before three servers', { skip, timeout: TIMEOUT_MS }, () => {
  let etcd: Etcd;
  let fleet: TestFleet;
  let members: TestMember[];
  let number = 0;

  before(async () => {
    etcd = await startEtcd({ servers: 3 });
    fleet = new TestFleet(etcd.endpoints);
    members = Array.from({ length: MEMBERS }, (_, i) => fleet.member('forwarder', `edge-${i}`));
    const ready = members.map((member) => member.ready());
    await until('all are listed', async () => (await fleet.view()).members.length === MEMBERS);
    await apply();
    await Promise.all(ready);
  });
  after(async () => {
    await fleet?.close();
    await etcd?.close();
  });

  async function apply(): Promise<void> {
    number++;
    const { late } = await fleet.apply(`config ${number}`);
    assert.deepEqual(late, []);
  }
  const agree = (): void => {
    for (const member of members) assert.equal(member.text(), `config ${number}`);
  };
  const all = (what: string): Promise<void> =>
    until(what, async () => {
      try {
        return (await fleet.view()).members.every(({ said }) => said?.active === number);
      } catch {
        return false;
      }
    });

  test('says again what it is when its lease is lost without a restart of etcd', async () => {
    const leases = async (): Promise<string[]> =>
      (await etcd.ctl('lease', 'list')).split('\n').filter((line) => /^[0-9a-f]{8,}$/.test(line));
    const lost = await leases();
    assert.ok(lost.length >= MEMBERS);
    for (const lease of lost) await etcd.ctl('lease', 'revoke', lease);
    const startMs = performance.now();
    await all('all answer');
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
    assert.ok((await leases()).every((lease) => !lost.includes(lease)));
    await apply();
    agree();
  });

  for (const index of [0, 1, 2])
    test(`changes while server ${index} stalls, and after it goes on`, async () => {
      const { pid } = etcd.servers[index]!.process;
      process.kill(pid, 'SIGSTOP');
      const startMs = performance.now();
      await all('all answer by the others');
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs < 15_000, `${tookMs} ms`);
      await apply();
      agree();
      process.kill(pid, 'SIGCONT');
      await all('all answer');
      await apply();
      agree();
    });

  test('changes nothing without a majority, says so, and goes on when it is back', async () => {
    await Promise.all([0, 1].map((index) => etcd.servers[index]!.kill()));
    await until('all know', () => members.every(({ store }) => store.fault !== undefined), 45_000);
    await assert.rejects(fleet.apply('nothing'));
    agree();
    for (const { member } of members) assert.equal(member.behind, undefined);
    await Promise.all([0, 1].map((index) => etcd.servers[index]!.start()));
    await all('all answer');
    await apply();
    agree();
  });

  test('follows after a compaction of what it has not seen', async () => {
    const { pid } = etcd.servers[0]!.process;
    process.kill(pid, 'SIGSTOP');
    const store = fleet.store();
    for (let i = 0; i < 50; i++) await store.write([], [{ place: 'other/x', value: String(i) }]);
    const { revision } = await store.read('other/x');
    await etcd.ctl('compact', String(revision)).catch(() => undefined);
    process.kill(pid, 'SIGCONT');
    await all('all answer');
    await apply();
    agree();
  });
});
