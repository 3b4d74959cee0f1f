/** Views of health in the store: what is told when, what is read, and what is fresh. The store is the test's own, and so is the clock. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it, type TestContext } from 'node:test';
import { HEALTH_VIEW_DOWN_MAX } from '#anyhop/core/limits.js';
import { HealthViews, readHealthView, type ViewStore } from '#anyhop/fleet/health-views.js';
import type { Snapshot, Write } from '#anyhop/fleet/store.js';

const FRESH_MS = 6_000;

type StoreLease = ReturnType<ViewStore['lease']>;

/** A store that nodes of one process share; a node may be cut off from it. */
class SharedStore {
  readonly entries = new Map<string, { value: string; version: string }>();
  readonly #seen: ((snapshot: Snapshot) => void)[] = [];
  writes = 0;
  isAway = false;

  /** As one node has it. */
  client(): ViewStore & { readonly leases: StoreLease[] } {
    const leases: StoreLease[] = [];
    return {
      leases,
      follow: (_prefix, _everyMs, seen) => {
        this.#seen.push(seen);
        return () => undefined;
      },
      write: async (_conditions, writes: readonly Write[]) => {
        if (this.isAway) throw new Error('away');
        this.writes++;
        for (const { place, value } of writes)
          this.entries.set(place, { value: value!, version: String(this.writes) });
        this.tell();
        return true;
      },
      lease: () => {
        const lease = { lost: () => undefined, revoke: async () => undefined } as unknown as StoreLease;
        leases.push(lease);
        return lease;
      },
    };
  }

  /** Every node reads. */
  tell(): void {
    if (this.isAway) return;
    for (const seen of this.#seen) seen({ entries: new Map(this.entries), revision: BigInt(this.writes) });
  }
}

const settle = async (t: TestContext, ms = 100): Promise<void> => {
  for (let left = ms; left > 0; left -= 10) {
    t.mock.timers.tick(10);
    await Promise.resolve();
    await Promise.resolve();
  }
};

describe('views of health', () => {
  let store: SharedStore;
  const start = (t: TestContext): void => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
  };
  beforeEach(() => {
    store = new SharedStore();
  });

  it('are written at once, then once for changes that come together, and not again without a change', async (t) => {
    start(t);
    const [client, other] = [store.client(), new HealthViews(store.client(), 'edge-2')];
    const views = new HealthViews(client, 'edge-1');
    views.revision = 3;
    for (const name of ['a', 'b', 'c']) views.tell(new Set([`web/${name}`, 'api/x']));
    await settle(t);
    assert.equal(store.writes, 2);
    assert.deepEqual(other.fresh(), [{ node: 'edge-1', revision: 3, down: new Set(['api/x', 'web/c']) }]);
    assert.deepEqual(views.fresh(), [], 'its own is none of the others');
    views.tell(new Set(['api/x', 'web/c']));
    await settle(t);
    assert.equal(store.writes, 2);
    await Promise.all([views.close(), other.close()]);
  });

  it('are written again when the store forgot them, or was away', async (t) => {
    start(t);
    const client = store.client();
    const views = new HealthViews(client, 'edge-1');
    views.tell(new Set(['web/a']));
    await settle(t);
    const { value } = store.entries.get('health/edge-1')!;
    store.entries.set('health/edge-1', { value: 'older', version: '9' }); // a snapshot was restored
    store.tell();
    await settle(t);
    assert.equal(store.entries.get('health/edge-1')!.value, value);
    store.entries.clear();
    client.leases[0]!.lost();
    await settle(t);
    assert.equal(store.entries.get('health/edge-1')!.value, value);
    store.isAway = true;
    views.tell(new Set());
    await settle(t);
    assert.equal(store.entries.get('health/edge-1')!.value, value);
    store.isAway = false;
    await settle(t, 2_000);
    assert.equal(readHealthView('edge-1', store.entries.get('health/edge-1')!.value)!.down.size, 0);
    await views.close();
  });

  it('are fresh for as long as the store is read, and their end is told', async (t) => {
    start(t);
    const [views, other] = [
      new HealthViews(store.client(), 'edge-1'),
      new HealthViews(store.client(), 'edge-2'),
    ];
    const heard: number[] = [];
    views.onChange(() => heard.push(views.fresh().length));
    other.tell(new Set());
    await settle(t);
    assert.deepEqual(heard, [1]);
    store.tell();
    assert.deepEqual(heard, [1], 'nothing is new');
    await settle(t, FRESH_MS);
    assert.deepEqual(heard, [1, 0]);
    store.tell();
    assert.deepEqual(heard, [1, 0, 1]);
    await Promise.all([views.close(), other.close()]);
  });

  it('of as many backends as may be told fit, and what is no view is none', async (t) => {
    start(t);
    const views = new HealthViews(store.client(), 'edge-1');
    const names = [...Array(HEALTH_VIEW_DOWN_MAX + 1).keys()].map(
      (i) => `${'p'.repeat(50)}${i}/${'b'.repeat(50)}${i}`,
    );
    views.tell(new Set(names));
    await settle(t);
    const { value } = store.entries.get('health/edge-1')!;
    assert.ok(value.length < 1_000_000);
    assert.equal(readHealthView('edge-1', value)!.down.size, HEALTH_VIEW_DOWN_MAX);
    for (const bad of ['', '{}', value.slice(0, 100), Buffer.from('{"revision":1}').toString('base64')])
      assert.equal(readHealthView('edge-1', bad), undefined);
    store.entries.set('health/bad name', { value, version: '1' });
    const other = new HealthViews(store.client(), 'edge-2');
    store.tell();
    assert.deepEqual(
      other.fresh().map(({ node }) => node),
      ['edge-1'],
    );
    await Promise.all([views.close(), other.close()]);
  });
});
