/** A running node whose images take seconds until they are in force: all that counts from a change counts from then. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { CHANGES_OPEN_MAX } from '#anyhop/core/limits.js';
import { createLog } from '#anyhop/core/log.js';
import { NodePools } from '#anyhop/node/node-pools.js';
import type { PoolChanges } from '#anyhop/pool/change.js';
import { take } from '#anyhop/pool/membership.js';
import { isSameMembers, isSameMoment, momentOf, type PoolMoment } from '#anyhop/pool/remembered.js';
import { NO_FACTS } from '#anyhop/pool/states.js';
import { NODE, parse, SERVICES } from '../config/fixture.js';

const SETTLE_MS = 1000;
const NAMES = ['a', 'b', 'c', 'd'];
const [OLD, NEW] = ['00000000000000aa', '00000000000000bb'];

const files = new Map<string, LoadedConfig<'run'>>();

function fileOf(names: readonly string[]): LoadedConfig<'run'> {
  const known = files.get(names.join());
  if (known !== undefined) return known;
  const lines = names.map((name) => `{name: ${name}, address: 10.1.0.${NAMES.indexOf(name) + 1}}`);
  const file = parse(
    `${NODE}pools:
  web: {table_size: 251, settle_time: 1s, backends: [${lines.join(', ')}]}
  dns: {table_size: 251, backends: [{name: dns-1, address: 10.1.1.1}]}
${SERVICES}`,
    'run',
  );
  files.set(names.join(), file);
  return file;
}

/** An image is in force, or has failed, when the test says so. */
class SlowNode {
  nowMs = 5000;
  readonly down = new Set<string>();
  /** States that were in force, with when that ended. */
  readonly born: (PoolMoment & { readonly untilMs: number })[] = [];
  inForce: PoolMoment;
  kept: PoolChanges | undefined;
  end: ((failure?: Error) => void) | undefined;
  readonly pools: NodePools;

  constructor(file: LoadedConfig<'run'>) {
    this.pools = new NodePools({
      file,
      memory: new Map(),
      surroundings: {
        permit: async () => undefined,
        reach: async () => undefined,
        check: async () => undefined,
        formerKey: () => undefined,
        facts: () => NO_FACTS,
        holds: () => [],
        why: (_, { name }) => (this.down.has(name) ? 'refused' : undefined),
        publish: () => this.#publish(),
        remember: async (pools) => {
          this.kept = pools.get('web')!.changes;
        },
      },
      log: createLog('silent'),
      now: () => this.nowMs,
    });
    this.pools.start();
    this.inForce = momentOf(this.changes);
    this.pools.forwards();
  }

  get changes(): PoolChanges {
    return this.pools.pools.get('web')!.changes;
  }

  async #publish(): Promise<unknown> {
    const next = momentOf(this.changes);
    const failure = await new Promise<Error | undefined>((resolve) => {
      this.end = resolve;
    });
    this.end = undefined;
    if (failure !== undefined) return failure;
    if (!isSameMoment(this.inForce, next)) this.born.push({ ...this.inForce, untilMs: this.nowMs });
    this.inForce = next;
    return undefined;
  }

  reload(names: readonly string[], keyId?: string) {
    const file = fileOf(names);
    return this.pools.change(() => ({
      file,
      next: (before, at) => take(before, file.pools, { ...at, force: false, ...(keyId && { keyId }) }),
    }));
  }

  async publishAll(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      this.end?.();
      await turn();
    }
  }

  /** How many planned changes of those in force began within the settle time. */
  open(): number {
    const lists = [...this.born, this.inForce];
    return this.born.filter(
      ({ members, untilMs }, i) =>
        this.nowMs < untilMs + SETTLE_MS && !isSameMembers(members, lists[i + 1]!.members),
    ).length;
  }
}

type Step =
  | { readonly kind: 'reload'; readonly names: string[] }
  | { readonly kind: 'mark'; readonly name: string }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'end'; readonly fails: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('reload' as const), names: fc.subarray(NAMES, { minLength: 1 }) }),
  fc.record({ kind: fc.constant('mark' as const), name: fc.constantFrom(...NAMES) }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 1500 }) }),
  fc.record({ kind: fc.constant('end' as const), fails: fc.boolean() }),
);

describe('the pools of a node whose images come late', () => {
  it('remember what was in force for a settle time from its end, and let no third change begin early', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 16 }), async (steps) => {
        const node = new SlowNode(fileOf(NAMES));
        await node.publishAll();
        for (const each of steps) {
          if (each.kind === 'reload') node.reload(each.names).catch(() => undefined);
          else if (each.kind === 'mark') {
            if (!node.down.delete(each.name)) node.down.add(each.name);
          } else if (each.kind === 'time') node.nowMs += each.ms;
          else node.end?.(each.fails ? new Error('no room') : undefined);
          node.pools.marksChanged();
          for (let i = 0; i < 4; i++) await turn();
          const { changes } = node;
          const known = [momentOf(changes), ...changes.remembered];
          const lives = node.born.filter(({ untilMs }) => node.nowMs < untilMs + SETTLE_MS);
          for (const moment of [node.inForce, ...lives])
            assert.ok(
              known.some((one) => isSameMoment(one, moment)),
              `${JSON.stringify(moment)} is not known`,
            );
          assert.ok(node.open() <= CHANGES_OPEN_MAX, `${node.open()} changes are open`);
        }
        node.pools.close();
      }),
      { numRuns: 60 },
    );
  });

  it('are as they were when an image could not be published, however long that took', async () => {
    const node = new SlowNode(fileOf(['a', 'b']));
    await node.publishAll();
    const before = { changes: node.changes, file: node.pools.file, kept: node.kept };
    const failed = assert.rejects(node.reload(['a', 'b', 'c']), /no room/);
    for (let i = 0; i < 4; i++) await turn();
    node.nowMs += 3 * SETTLE_MS;
    node.end!(new Error('no room'));
    await failed;
    await node.publishAll();
    assert.deepEqual({ changes: node.changes, file: node.pools.file, kept: node.kept }, before);
    node.pools.close();
  });

  it('keep on disk, and tell, that a change settles a settle time after it is in force', async () => {
    const node = new SlowNode(fileOf(['a', 'b']));
    await node.publishAll();
    const changed = node.reload(['a', 'b', 'c']);
    for (let i = 0; i < 4; i++) await turn();
    node.nowMs += 5 * SETTLE_MS;
    node.end!();
    const [effect] = await changed;
    assert.equal(effect!.settlesAtMs, node.nowMs + SETTLE_MS);
    assert.equal(node.kept!.planned.at(-1)!.atMs, node.nowMs);
    assert.equal(node.kept!.remembered[0]!.untilMs, node.nowMs);
    node.pools.close();
  });

  it('ask a former flow hash key for a settle time after another one is in force', async () => {
    const node = new SlowNode(fileOf(['a', 'b']));
    await node.publishAll();
    void node.reload(['a', 'b'], OLD);
    await node.publishAll();
    const changed = node.reload(['a', 'b'], NEW);
    for (let i = 0; i < 4; i++) await turn();
    node.nowMs += 5 * SETTLE_MS;
    node.end!();
    await changed;
    await node.publishAll();
    node.nowMs += SETTLE_MS - 1;
    node.pools.marksChanged();
    await node.publishAll();
    assert.equal(node.changes.formerKey?.untilMs, node.nowMs - SETTLE_MS + 1);
    node.nowMs += 1;
    node.pools.marksChanged();
    await node.publishAll();
    assert.equal(node.changes.formerKey, undefined);
    node.pools.close();
  });
});
