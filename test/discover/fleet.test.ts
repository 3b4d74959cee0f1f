/** Revisions that a node signs, before members of a fleet with a real etcd: which are taken, and which are refused, and why. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { drawLog } from '#anyhop/cli/fleet-log.js';
import { revisionOf } from '#anyhop/cli/fleet-revision.js';
import { apply, type Change, WouldWait } from '#anyhop/fleet/apply.js';
import { onlyFoundSince, viewAtRest } from '#anyhop/fleet/found-meanwhile.js';
import type { SigningKey } from '#anyhop/fleet/keys.js';
import { ACTIVE, blobPlace, revisionPlace } from '#anyhop/fleet/places.js';
import { prune } from '#anyhop/fleet/prune.js';
import { digestOfText, opened, peeked, type Revision, sealed, signerOf } from '#anyhop/fleet/record.js';
import { readFleetView, readLog } from '#anyhop/fleet/view.js';
import { type Etcd, startEtcd } from '../fleet/etcd.js';
import { newOperatorKey, TestFleet, type TestMember, until } from '../fleet/fleet.js';
import { isInstalled } from '../isolation.js';

const TIMEOUT_MS = 120_000;
const skip = ['etcd', 'etcdctl'].every(isInstalled) ? false : 'needs etcd and etcdctl';

describe('a revision that a node signs', { skip, timeout: TIMEOUT_MS }, () => {
  const key = newOperatorKey();
  let etcd: Etcd;
  let fleet: TestFleet;
  let edge: TestMember;
  let agent: TestMember;

  before(async () => {
    etcd = await startEtcd();
    fleet = new TestFleet(etcd.endpoints, { name: 'found' });
    edge = fleet.member('forwarder', 'edge-1');
    agent = fleet.member('agent', 'web-1');
    const ready = [edge.ready(), agent.ready()];
    await until('both are listed', async () => (await fleet.view()).members.length === 2);
    await fleet.apply(text(TEN));
    await Promise.all(ready);
  });
  after(async () => {
    await fleet?.close();
    await etcd?.close();
  });

  const TEN = Array.from({ length: 10 }, (_, i) => `{ name: web-${i + 1}, address: 10.1.0.${i + 1} }`);
  const gone = (entry: string): string => entry.replace(' }', ', state: draining, leaves: true }');

  const SERVERS = [1, 2, 3].map((n) => `{ name: api-${n}, address: 10.2.0.${n}, port: 80 }`);

  function text(entries: readonly string[], more = '', servers: readonly string[] = SERVERS): string {
    return `pools:
  web:
    settle_time: 1h
    backends_from: { file: /x, allowed_addresses: [10.1.0.0/16] }
    backends:
${entries.map((entry) => `      - ${entry}`).join('\n')}
  other: { backends: [{ name: dns-1, address: 10.1.1.53 }] }
services:
  - { name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web }
l7:
  frontends: { web: { services: [web], routes: [{ to: api }] } }
  upstreams:
    api:
      servers_from: { file: /y, allowed_addresses: [10.2.0.0/16] }
      servers: [${servers.join(', ')}]
discover: { keys: { edge-1: "${key.publicBytes.toString('base64')}" } }
${more}`;
  }

  interface Signing {
    readonly by?: string;
    readonly with?: SigningKey;
    readonly base?: { number: number; record: string };
    readonly force?: boolean;
  }

  async function baseNow(): Promise<{ number: number; record: string }> {
    const { record } = await fleet.view();
    const { number, base } = peeked(record!);
    return base ?? { number, record: digestOfText(record!) };
  }

  async function find(
    entries: string,
    { by = 'edge-1', with: signing = key, base, force = false }: Signing = {},
  ) {
    const store = fleet.store();
    const change: Change = {
      text: entries,
      digest: digestOfText(entries),
      by,
      message: '',
      force,
      without: [],
      changes: [],
    };
    return apply(store, await readFleetView(store, fleet.config), change, {
      fleet: fleet.config,
      key: signing,
      node: { name: by, base: base ?? (await baseNow()) },
      signal: new AbortController().signal,
      progress: () => undefined,
    });
  }

  const refuses = async (why: RegExp, entries: string, signing?: Signing): Promise<void> => {
    const inForce = edge.text();
    await assert.rejects(find(entries, signing), (error: Error) => {
      assert.match(error.message, /not taken by [12] of 2 members; nothing was changed/);
      assert.match(error.message, why);
      return true;
    });
    assert.equal(edge.text(), inForce);
    assert.equal(edge.member.behind, undefined);
  };

  test('is taken for backends of a pool with a source, one after the other, and shows in the log', async () => {
    const first = text([...TEN, '{ name: web-11, address: 10.1.0.11, weight: 2 }']);
    const { revision } = await find(first);
    assert.deepEqual([revision.number, revision.base?.number], [2, 1]);
    const second = text([gone(TEN[0]!), ...TEN.slice(1), '{ name: web-11, address: 10.1.0.11, weight: 2 }']);
    assert.equal((await find(second)).revision.base?.number, 1);
    assert.equal(edge.text(), second);
    await until('the agent has it', () => agent.text() === second);
    const log = await readLog(fleet.store(), fleet.config, 10);
    assert.deepEqual(
      log.map((each) => (each as Revision).by),
      ['edge-1', 'edge-1', 'tests'],
    );
    assert.equal((await fleet.view()).faults.length, 0);
  });

  test('is refused when it changes anything else', async () => {
    const now = edge.text()!;
    await refuses(/more than the backends of pools with backends_from and/, now.replace('dns-1', 'dns-2'));
    await refuses(
      /more than the backends of pools with backends_from and/,
      now.replace('10.1.0.0/16', '10.0.0.0/8'),
    );
    await refuses(
      /more than the backends of pools with backends_from and/,
      `${now}agent: { forwarders: [192.0.2.0/24] }\n`,
    );
    await refuses(
      /more than the backends of pools with backends_from and/,
      now.replace('settle_time: 1h', 'settle_time: 1s'),
    );
    await refuses(
      /web-9 has another id or agent/,
      now.replace('web-9, address: 10.1.0.9', 'web-9, address: 10.1.0.9, agent: false'),
    );
  });

  test('is refused outside of its limits', async () => {
    const now = edge.text()!;
    const rest = '{ name: web-11, address: 10.1.0.11, weight: 2 }';
    await refuses(
      /web-12 \(10\.2\.0\.1\) is outside of allowed_addresses/,
      now.replace(rest, '{ name: web-12, address: 10.2.0.1 }'),
    );
    // One of ten has gone within the settle time already.
    const four = [...TEN.slice(0, 4).map(gone), ...TEN.slice(4), rest];
    await refuses(/4 of 10 within the settle time; max_remove lets 3 go/, text(four));
    await refuses(
      /1 active backends are left; min_backends is 2/,
      text([...TEN.slice(0, 9).map(gone), TEN[9]!]),
    );
  });

  test('is taken for servers of an upstream with a source, within its limits', async () => {
    const now = edge.text()!;
    const [first, second, third] = SERVERS as [string, string, string];
    await refuses(
      /upstream api: api-3 \(10\.1\.0\.3\) is outside of allowed_addresses/,
      now.replace('10.2.0.3', '10.1.0.3'),
    );
    await refuses(
      /upstream api: 1 active servers are left; min_servers is 2/,
      now.replace(second, gone(second)).replace(third, gone(third)),
    );
    await refuses(
      /more than the backends of pools with backends_from and/,
      now.replace('      servers:', '      retries: 3\n      servers:'),
    );
    const four = now
      .replace(third, `${third}, { name: api-4, address: 10.2.0.4, port: 81 }`)
      .replace(first, gone(first));
    await find(four);
    assert.equal(edge.text(), four);
    await refuses(
      /upstream api: api-2 is gone in it: 2 of 3 within the drain deadline; max_remove lets 1 go/,
      four.replace(second, gone(second)),
    );
  });

  test('is refused from a node that the operator has not listed, and when it forces something', async () => {
    const now = edge.text()!.replace('weight: 2', 'weight: 3');
    await refuses(/signed by edge-2, which is not among discover.keys/, now, { by: 'edge-2' });
    await refuses(/its signature is not of edge-1/, now, { with: newOperatorKey() });
    await refuses(/it forces something/, now, { force: true });
  });

  test('is refused on top of an older revision of the operator, and keeps the drains of the newer one', async () => {
    const old = await baseNow();
    const drained = edge
      .text()!
      .replace('web-5, address: 10.1.0.5', 'web-5, address: 10.1.0.5, state: draining');
    await fleet.apply(drained);
    await refuses(/the operator has signed [0-9]+ since/, text(TEN), { base: old });
    await refuses(
      /web-5 does not drain any more, and the operator drains it/,
      drained.replace(', state: draining }', ' }'),
    );
    await find(drained.replace('weight: 2', 'weight: 4'));
  });

  test('is waited for by an operator, who then begins on top of it', async () => {
    const before = await fleet.view();
    edge.judge = async () => {
      await sleep(500);
      return undefined;
    };
    const finding = find(edge.text()!.replace('weight: 4', 'weight: 3'));
    await until('it is being prepared', async () => (await fleet.view()).intent !== undefined);
    const lines: string[] = [];
    const store = fleet.store();
    const way = { signal: new AbortController().signal, progress: (line: string) => void lines.push(line) };
    const view = await viewAtRest(store, fleet.config, way);
    const { revision } = await finding;
    edge.judge = async () => undefined;
    assert.equal(view.active?.number, revision.number);
    assert.equal(lines[0], `revision ${revision.number} by edge-1 is being prepared: waiting for it`);
    assert.equal(await onlyFoundSince(store, fleet.config, before), true);
    assert.equal(await onlyFoundSince(store, fleet.config, view), false);
    await fleet.apply(edge.text()!.replace('weight: 3', 'weight: 4'));
    assert.equal(await onlyFoundSince(store, fleet.config, view), false);
  });

  test('does not wait, and leaves out members that do not answer', async () => {
    edge.judge = async () => ({ waits: ['pool web: until noon'] });
    await assert.rejects(find(edge.text()!.replace('weight: 4', 'weight: 5')), WouldWait);
    edge.judge = async () => undefined;
    await fleet.stop(agent);
    const next = edge.text()!.replace('weight: 4', 'weight: 6');
    const { members, revision } = await find(next);
    assert.deepEqual([members, revision.without], [1, []]);
    agent = fleet.member('agent', 'web-1');
    await agent.ready();
    assert.equal(agent.text(), next);
  });

  test('is removed when there are many later ones, and what the operator signed stays', async () => {
    const store = fleet.store();
    const before = (await store.read('revisions/', 'blobs/')).entries;
    const found = [...before].filter(
      ([place, { value }]) => place.startsWith('revisions/') && signerOf(value) !== undefined,
    );
    assert.ok(found.length > 4, `${found.length}`);
    assert.equal(await prune(store, found.length), 0);
    assert.equal(await prune(store, 2), found.length - 2);
    const { entries } = await store.read('revisions/', 'blobs/');
    const gone = found
      .map(([place]) => place)
      .sort()
      .slice(0, -2);
    assert.deepEqual(
      gone.filter((place) => entries.has(place)),
      [],
    );
    const left = [...entries].filter(([place]) => place.startsWith('revisions/'));
    assert.equal(
      left.length,
      [...before.keys()].filter((place) => place.startsWith('revisions/')).length - gone.length,
    );
    const needed = new Set(left.map(([, { value }]) => blobPlace(peeked(value).config)));
    assert.deepEqual(
      [...needed].filter((place) => !entries.has(place)),
      [],
    );
    assert.deepEqual((await fleet.view()).faults, []);
    const blobs = (of: Iterable<string>) => [...of].filter((place) => place.startsWith('blobs/')).length;
    assert.ok(blobs(entries.keys()) < blobs(before.keys()));
    assert.match(drawLog(await readLog(store, fleet.config, 20)), /^2 to [0-9]+ {2}are not kept any more$/m);
    await assert.rejects(revisionOf(store, fleet.config, 2), { message: 'revision 2 is not kept any more' });
    await assert.rejects(revisionOf(store, fleet.config, 99), { message: 'the store has no revision 99' });
    // A member without anything begins with what is in force.
    const late = fleet.member('agent', 'web-2');
    await late.ready();
    assert.equal(late.text(), edge.text());
    await find(edge.text()!.replace('weight: 6', 'weight: 7'));
    await until('it follows', () => late.text() === edge.text());
  });

  test('withdraws nobody when it is put in the place of the one in force without having been taken', async () => {
    const store = fleet.store();
    const { active, record } = await fleet.view();
    const forged: Revision = {
      ...active!,
      number: active!.number + 1,
      parent: digestOfText(record!),
      base: await baseNow(),
      config: digestOfText(text(TEN.slice(0, 2))),
      at: new Date(Date.now() + 86_400_000).toISOString(),
    };
    const sealedOne = sealed(forged, key, 'edge-1');
    await store.write(
      [],
      [
        { place: revisionPlace(forged.number), value: sealedOne },
        { place: ACTIVE, value: JSON.stringify({ number: forged.number, record: digestOfText(sealedOne) }) },
      ],
    );
    await until('it is refused', () =>
      edge.logged.some(({ event, revision }) => event === 'fleet_refused' && revision === forged.number),
    );
    assert.equal(edge.member.behind, undefined);
    assert.throws(() => opened(sealedOne, 'found', fleet.config.operatorKey), /not of the operator/);
  });

  test('is no ground for an operator when it hides a later revision of theirs', async () => {
    const store = fleet.store();
    const first = (await store.get(revisionPlace(1)))!.value;
    const now = peeked((await fleet.view()).record!);
    const older: Revision = {
      ...now,
      number: now.number + 1,
      base: { number: 1, record: digestOfText(first) },
      config: digestOfText(text(TEN)),
    };
    const record = sealed(older, key, 'edge-1');
    const value = JSON.stringify({ number: older.number, record: digestOfText(record) });
    await store.write(
      [],
      [
        { place: revisionPlace(older.number), value: record },
        { place: ACTIVE, value },
      ],
    );
    const { faults } = await fleet.view();
    assert.match(faults.join(), /it stands upon revision 1, and the operator has signed [0-9]+ since/);
  });
});
