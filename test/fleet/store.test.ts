/** The store of a fleet before real etcd, one server: what it reads and writes, and what becomes of it when etcd fails or lies. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { revisionPlace } from '#anyhop/fleet/places.js';
import { digestOfText, type Revision, sealed } from '#anyhop/fleet/record.js';
import { isInstalled } from '../isolation.js';
import { type Etcd, startEtcd } from './etcd.js';
import { newOperatorKey, refusing, TestFleet, type TestMember, until } from './fleet.js';

const TIMEOUT_MS = 180_000;
const skip = ['etcd', 'etcdctl'].every(isInstalled) ? false : 'needs etcd and etcdctl';

describe('the store of a fleet', { skip, timeout: TIMEOUT_MS }, () => {
  let etcd: Etcd;
  const fleets: TestFleet[] = [];

  before(async () => {
    etcd = await startEtcd();
  });
  after(async () => {
    for (const fleet of fleets) await fleet.close();
    await etcd?.close();
  });

  /** A fleet of its own for each test, with members that have begun. */
  async function begun(name: string, ...names: string[]): Promise<[TestFleet, ...TestMember[]]> {
    const fleet = new TestFleet(etcd.endpoints, { name });
    fleets.push(fleet);
    const members = names.map((place) => {
      const [role, host] = place.split('/') as ['forwarder' | 'agent', string];
      return fleet.member(role, host);
    });
    const ready = members.map((member) => member.ready());
    await until('all are listed', async () => (await fleet.view()).members.length === names.length);
    await fleet.apply('first');
    await Promise.all(ready);
    return [fleet, ...members];
  }

  test('reads an entry by its whole name and a part by a slash at its end, and writes upon what was read alone', async () => {
    const fleet = new TestFleet(etcd.endpoints, { name: 'names' });
    fleets.push(fleet);
    const store = fleet.store();
    await store.write(
      [],
      ['nodes/agent/web-1', 'nodes/agent/web-10', 'other/x'].map((place) => ({ place, value: place })),
    );
    assert.equal((await store.get('nodes/agent/web-1'))?.value, 'nodes/agent/web-1');
    assert.deepEqual([...(await store.read('nodes/agent/web-1')).entries.keys()], ['nodes/agent/web-1']);
    assert.equal((await store.read('nodes/')).entries.size, 2);
    assert.equal((await store.read('nodes/', 'other/x')).entries.size, 3);
    assert.deepEqual([...(await store.newest('nodes/agent/', 1)).entries.keys()], ['nodes/agent/web-10']);
    const writes = [{ place: 'other/x', value: 'y' }];
    assert.equal(await store.write([['other/x', undefined]], writes), false);
    const { value, version } = (await store.get('other/x'))!;
    assert.equal(await store.write([['other/x', { value, version: '1' }]], writes), false);
    // As after a restore from a snapshot, which gives the same versions to other writes.
    assert.equal(await store.write([['other/x', { value: 'z', version }]], writes), false);
    assert.equal(await store.write([['other/x', { value, version }]], writes), true);
  });

  test('lets a member that was left out come back with the next revision', async () => {
    const [fleet, edge, other] = await begun('without', 'forwarder/edge-1', 'forwarder/edge-2');
    await fleet.apply('second', { without: ['forwarder/edge-2'] });
    await until('it is not ready', () => /left this member out/.test(other!.member.behind ?? ''));
    assert.equal(edge!.text(), 'second');
    assert.equal(other!.text(), 'first');
    await fleet.apply('third');
    assert.equal(other!.text(), 'third');
    assert.equal(other!.member.behind, undefined);
  });

  test('lets a member that could not switch follow the next revision', async () => {
    const [fleet, edge] = await begun('stuck', 'forwarder/edge-1');
    edge!.hold = refusing('the disk is full');
    void fleet.apply('second');
    await until('it is behind', () => /the disk is full/.test(edge!.member.behind ?? ''));
    edge!.hold = async () => undefined;
    await fleet.apply('third');
    assert.equal(edge!.text(), 'third');
  });

  test('never takes what was prepared for another change of the same number', async () => {
    const [fleet, edge, other] = await begun('twice', 'forwarder/edge-1', 'forwarder/edge-2');
    other!.judge = async (text) => (text === 'withdrawn' ? { waits: ['a drain'] } : undefined);
    const stop = new AbortController();
    const first = fleet.apply('withdrawn', { signal: stop.signal });
    await until('it is prepared', async () =>
      (await fleet.view()).members.every(({ said }) => said?.prepared?.number === 2),
    );
    stop.abort();
    await assert.rejects(first, /interrupted/);
    await fleet.apply('second');
    assert.deepEqual([edge!.text(), other!.text()], ['second', 'second']);
    assert.deepEqual(edge!.taken, [1, 2]);
  });

  test('names who cannot take a change, and why, also when that is a bug', async () => {
    const [fleet, edge] = await begun('bad', 'agent/web-1');
    edge!.judge = refusing('a test says no');
    await assert.rejects(fleet.apply('second'), /agent\/web-1: a test says no/);
    assert.equal(edge!.text(), 'first');
    edge!.judge = () => Promise.reject(new TypeError('a bug'));
    await assert.rejects(fleet.apply('third'), /agent\/web-1: a bug/);
    edge!.judge = async () => undefined;
    await fleet.apply('fourth');
    assert.equal(edge!.text(), 'fourth');
  });

  test('takes nothing that the operator has not signed for it, in any place, and serves on', async () => {
    const [fleet, edge] = await begun('hostile', 'forwarder/edge-1');
    const store = fleet.store();
    const { active, record } = await fleet.view();
    assert.ok(active !== undefined && record !== undefined);
    const text = 'a config of somebody else';
    await store.write(
      [],
      [{ place: `blobs/${digestOfText(text)}`, value: gzipSync(text).toString('base64') }],
    );
    const next: Revision = { ...active, number: 2, config: digestOfText(text), digest: digestOfText(text) };
    const huge = 'x'.repeat(1_400_000);
    const records: [why: RegExp, record: string][] = [
      [/its signature is not of the operator/, sealed(next, newOperatorKey())],
      [/it is signed for another fleet/, sealed({ ...next, fleet: 'other' }, fleet.key)],
      [/of revision 1/, record],
      [/it is no JSON/, huge],
      [/its text is not in the store/, sealed({ ...next, config: '0'.repeat(64) }, fleet.key)],
      [/record: Invalid input/, '{"record": 7, "signature": ""}'],
    ];
    for (const [why, value] of records) {
      await store.write(
        [],
        [
          { place: revisionPlace(2), value },
          { place: 'now/active', value: JSON.stringify({ number: 2, record: digestOfText(value) }) },
          ...(value.length < 100_000
            ? [{ place: 'now/intent', value: JSON.stringify({ record: value }) }]
            : []),
        ],
      );
      await until(`it refuses with ${why}`, () => why.test(edge!.member.status.behind ?? ''));
      assert.equal(edge!.member.behind, undefined, 'nobody but the operator withdraws a node');
    }
    for (const place of [
      'now/active',
      'now/intent',
      'nodes/forwarder/edge-1',
      'members/x',
      'members/agent/\u001b[2J',
      'revisions/zzz',
      'nodes/',
    ])
      await store.write([], [{ place, value: '\u001b[2J{"number":' }]);
    assert.equal(edge!.text(), 'first');
    assert.deepEqual(
      (await fleet.view()).members.map(({ place }) => place),
      ['forwarder/edge-1'],
    );
    await store.write(
      [],
      [
        { place: 'now/intent', value: undefined },
        { place: 'now/active', value: JSON.stringify({ number: 1, record: digestOfText(record) }) },
      ],
    );
    await until('it says itself what it is', async () => (await fleet.view()).members[0]?.said?.active === 1);
  });

  test('does not unpack a text that is larger than a config may be', async () => {
    const [fleet, edge] = await begun('bomb', 'forwarder/edge-1');
    const store = fleet.store();
    const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024)).toString('base64');
    const { active } = await fleet.view();
    const config = '1'.repeat(64);
    await store.write(
      [],
      [
        { place: `blobs/${config}`, value: bomb },
        {
          place: 'now/intent',
          value: JSON.stringify({ record: sealed({ ...active!, number: 2, config }, fleet.key) }),
        },
      ],
    );
    await until('it refuses it', () =>
      edge!.logged.some(
        ({ event, reason }) => event === 'fleet_refused' && /cannot be unpacked/.test(String(reason)),
      ),
    );
  });

  test('notices that etcd was restored from an older snapshot, says again what it is, and goes on above it', async () => {
    const snapshot = join(etcd.directory, 'snapshot');
    const [fleet, edge] = await begun('restored', 'forwarder/edge-1');
    await etcd.ctl('snapshot', 'save', snapshot);
    await fleet.apply('second');
    const late = fleet.member('agent', 'web-1'); // of which the snapshot knows nothing
    await late.ready();
    await fleet.apply('third');
    const [server] = etcd.servers;
    await server!.kill();
    await until('it knows that the store is away', () => edge!.store.fault !== undefined);
    await server!.start(snapshot);
    for (const { logged } of [edge!, late])
      await until('it says so', () => logged.some(({ event }) => event === 'fleet_store_went_back'));
    assert.equal(edge!.logged.filter(({ event }) => event === 'fleet_store_went_back').length, 1);
    assert.equal(edge!.member.behind, undefined);
    await until(
      'both are listed, with what they have',
      async () => (await fleet.view()).members.map(({ said }) => said?.active).join() === '3,3',
    );
    assert.equal((await fleet.apply('fourth')).revision.number, 4);
    assert.deepEqual([edge!.text(), late.text()], ['fourth', 'fourth']);
  });

  test('starts by what was kept when etcd is away, and follows when it is back', async () => {
    const [fleet, edge] = await begun('away', 'forwarder/edge-1');
    const { record } = await fleet.view();
    await fleet.stop(edge!);
    const [server] = etcd.servers;
    await server!.kill();
    const again = fleet.member('forwarder', 'edge-1', {
      kept: { number: 1, record: record!, text: 'first' },
    });
    await again.ready();
    assert.equal(again.text(), 'first');
    assert.equal(again.member.behind, undefined);
    const { revision, revisionOfFleet, store } = again.member.status;
    assert.deepEqual([revision, revisionOfFleet, store.answeredAt], [1, null, null]);
    assert.match(store.fault?.why ?? '', /UNAVAILABLE/);
    assert.doesNotMatch(store.fault!.why, /Resolution note/);
    await server!.start();
    await until('it answers', async () => (await fleet.view()).members[0]?.said?.active === 1);
    await fleet.apply('second');
    assert.equal(again.text(), 'second');
    const events = again.logged.map(({ event }) => event);
    assert.deepEqual(events.slice(0, 2), ['fleet_store_away', 'fleet_store_back']);
  });

  test('stops at once while it waits for a first revision, with etcd or without', async () => {
    const [server] = etcd.servers;
    for (const isAway of [false, true]) {
      if (isAway) await server!.kill();
      const fleet = new TestFleet(etcd.endpoints, { name: 'stopped' });
      const edge = fleet.member('forwarder', 'edge-1');
      void edge.ready();
      await until('it has tried', () =>
        isAway ? edge.store.fault !== undefined : edge.store.answeredAt !== undefined,
      );
      const startMs = performance.now();
      await fleet.close();
      assert.ok(performance.now() - startMs < 3_000);
    }
  });
});
