/** A node's marks by what its fleet sees: what it tells, what it says of itself, and what it does when it is alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLog } from '#anyhop/core/log.js';
import type { HealthView } from '#anyhop/fleet/agreed.js';
import { AgreedHealth } from '#anyhop/node/agreed-health.js';
import { type Membership, NO_POOLS, take } from '#anyhop/pool/membership.js';
import { parse } from '../config/fixture.js';

const COUNT = 5;
const LATER_MS = 1_000;
const poolsOf = (numbers: readonly number[]): Membership => {
  const backends = numbers.map((number) => `{name: b${number}, address: 10.1.0.${number}}`).join(', ');
  const { pools } = parse(`pools: {web: {backends: [${backends}]}}\n`, 'pools');
  return take(NO_POOLS, pools, { force: true, nowMs: 0 });
};
const ALL = poolsOf([1, 2, 3, 4, 5]);

/** A node whose checks, ways and store are what the test says. */
class Node {
  readonly seen = new Map<string, string>();
  readonly noWay = new Map<string, string>();
  readonly views = {
    revision: 1,
    others: [] as HealthView[],
    told: new Set<string>() as ReadonlySet<string>,
  };
  pools = ALL;
  nowMs = 0;
  #changed = (): void => undefined;
  readonly health: AgreedHealth;

  constructor(others: HealthView[] = []) {
    const { views } = this;
    views.others = others;
    this.health = new AgreedHealth({
      views: {
        get revision() {
          return views.revision;
        },
        fresh: () => views.others,
        onChange: (listener) => {
          this.#changed = listener;
        },
        tell: (down) => {
          views.told = down;
        },
      },
      own: (_, { name }) => this.noWay.get(name) ?? this.seen.get(name),
      noWay: ({ name }) => this.noWay.get(name),
      pools: () => this.pools,
      changed: () => undefined,
      log: createLog('silent'),
      now: () => this.nowMs,
    });
  }

  /** Time passes in which the others may come to see the same. */
  waits(): void {
    this.nowMs += LATER_MS;
    this.health.look();
  }

  hears(others: HealthView[]): void {
    this.views.others = others;
    this.#changed();
    this.health.look();
  }

  sees(...down: string[]): void {
    this.seen.clear();
    for (const name of down) this.seen.set(name, 'refused');
    this.health.look();
  }

  why(name: string): string | undefined {
    const { file, changes } = this.pools.get('web')!;
    return this.health.why(file, changes.members.find((each) => each.name === name)!);
  }

  down(): string[] {
    return this.pools.get('web')!.changes.members.flatMap(({ name }) => (this.why(name) ? [name] : []));
  }
}

const view = (node: string, ...down: string[]): HealthView => {
  return { node, revision: 1, down: new Set(down.map((name) => `web/${name}`)) };
};

describe('agreed health of a node', () => {
  it('is that of the fleet, and what it tells is its own', () => {
    const node = new Node();
    node.hears([view('edge-2'), view('edge-3', 'b2')]);
    node.sees('b1', 'b2');
    assert.deepEqual(node.down(), ['b2']);
    assert.deepEqual([...node.views.told].sort(), ['web/b1', 'web/b2']);
    assert.equal(node.health.fresh, 3);
    node.hears([]);
    assert.deepEqual(node.down(), ['b1', 'b2'], 'by its own view when it has no other');
  });

  it('is that of the fleet from the beginning, also when nobody says anything new', () => {
    const node = new Node([view('edge-2', 'b2'), view('edge-3', 'b2')]);
    node.sees('b1');
    assert.deepEqual(node.down(), ['b2']);
  });

  it('leaves a backend down to which there is no way from here', () => {
    const node = new Node();
    node.hears([view('edge-2'), view('edge-3')]);
    node.noWay.set('b1', 'no route');
    node.health.look();
    assert.equal(node.why('b1'), 'no route');
    assert.deepEqual([...node.views.told], ['web/b1']);
  });

  it('says that the node is blind when it alone sees more than half of a pool down for some time', () => {
    const node = new Node();
    node.hears([view('edge-2'), view('edge-3')]);
    node.sees('b1', 'b2');
    node.waits();
    assert.equal(node.health.blind, undefined);
    node.sees('b1', 'b2', 'b3');
    assert.equal(node.health.blind, undefined, 'the others may be about to see it');
    node.waits();
    assert.match(node.health.blind!, /^this node sees 3 of 5 backends of the pool web down/);
    node.hears([view('edge-2', 'b1'), view('edge-3')]);
    assert.equal(node.health.blind, undefined, 'another sees one of them down too');
    node.hears([]);
    assert.equal(node.health.blind, undefined, 'nobody differs');
  });

  it('does not count those that do not know a new backend yet', () => {
    const node = new Node();
    node.pools = poolsOf([1, 2, 3, 4]);
    node.hears([view('edge-2'), view('edge-3')]);
    node.views.revision = 2;
    node.pools = ALL;
    node.sees('b4', 'b5');
    assert.deepEqual(node.down(), ['b5']);
    node.hears([view('edge-2'), { ...view('edge-3'), revision: 2 }]);
    assert.deepEqual(node.down(), [], 'one does');
  });

  it('never makes all nodes of a fleet blind to one pool', () => {
    const names = [...Array(COUNT).keys()].map((i) => `b${i + 1}`);
    fc.assert(
      fc.property(fc.array(fc.subarray(names), { minLength: 2, maxLength: 7 }), (seen) => {
        const all = seen.map((down, i) => view(`edge-${i}`, ...down));
        const nodes = all.map((_, self) => {
          const node = new Node();
          node.hears(all.filter((__, i) => i !== self));
          node.sees(...seen[self]!);
          node.waits();
          return node;
        });
        assert.ok(nodes.some(({ health }) => health.blind === undefined));
        assert.equal(new Set(nodes.map((node) => String(node.down()))).size, 1);
      }),
      { numRuns: 100 },
    );
  });
});
