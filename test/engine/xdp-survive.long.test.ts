/** The xdp engine forwards on, whatever becomes of its process; shown with real packets, each of them accounted for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { missingForIsolation } from '../isolation.js';
import { compiled } from './lists.js';
import { publishAndKill, requireAll, requireCounted, told, withLoad } from './survive.js';

const PUBLISHES = 1000;
const KILLS = 20;
const SWAPS = 60;
/** Prefixes of lists of more than the 8 MiB that there is room for at first. */
const LARGE = 120_000;
const DEAD_MS = 300;
/** More than the room that maps are made with. */
const EXTRA_BACKENDS = 1500;

describe('the xdp engine under load', { skip: missingForIsolation('ethtool') }, () => {
  it(`loses and misdirects no packet over ${PUBLISHES} publishes and ${KILLS} kills`, async (t) => {
    await withLoad(async (node) => {
      await publishAndKill(node, { publishes: PUBLISHES, kills: KILLS });
      const { verdict, counted } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      requireCounted(verdict, counted);
    });
  });

  it(`loses no packet over ${SWAPS} changes of its lists, of which one outgrows the maps, and keeps them without its process`, async (t) => {
    const near = compiled({ block: ['198.51.100.8/29', '2001:db8::/32'], allow: ['198.51.100.0/30'] });
    const far = compiled({ block: ['0.0.0.0/1', '198.51.0.0/16'], allow: ['198.51.100.7'] });
    const large = compiled({
      block: Array.from({ length: LARGE }, (_, i) => `2001:db8:${(i >> 8).toString(16)}:${i & 255}::1`),
    });
    await withLoad(async (node) => {
      const swap = async (swaps: number): Promise<void> => {
        for (let i = 0; i < swaps; i++) await node.publishLists([near, far, null][i % 3]);
      };
      await swap(SWAPS / 2);
      await node.publishLists(large);
      await swap(SWAPS / 2);
      const { verdict, counted } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      requireCounted(verdict, counted);
    });
    await withLoad(async (node) => {
      await node.publishLists(compiled({ block: ['198.51.100.0/24'] }));
      await node.kill();
      await delay(DEAD_MS);
      await node.restart();
      const dropped = async (): Promise<number> => (await node.counters()).verdicts['drop_blocked'];
      const before = await dropped();
      await delay(DEAD_MS);
      assert.ok((await dropped()) > before, 'the next process keeps the lists until it has its own');
    });
  });

  it('forwards on without its process, counts on, and is adopted by the next', async (t) => {
    await withLoad(async (node) => {
      await node.kill();
      const before = await node.handedOver();
      await delay(DEAD_MS);
      const after = await node.handedOver();
      assert.ok(after > before, `${after} packets, ${before} before`);
      await node.restart();
      const counted = (await node.counters()).verdicts['forwarded'];
      assert.ok(counted >= after - before, `${counted} forwarded`);
      const { verdict, counted: last } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      requireCounted(verdict, last);
    });
  });

  it('is replaced by another version of its program without a gap, and no counter is lost', async (t) => {
    await withLoad(async (node) => {
      for (let i = 0; i < 3; i++) {
        await delay(DEAD_MS);
        await node.kill();
        node.forge({ program: 'another', version: '0.0.1' });
        await node.restart();
      }
      const { verdict, counted } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      requireCounted(verdict, counted);
    });
  });

  it('may be killed at any point of a replacement: the next process ends it, and no counter is lost', async (t) => {
    await withLoad(async (node) => {
      let killedWithin = 0;
      for (const milliseconds of [0, 3, 9]) {
        await node.kill();
        node.forge({ program: 'another' });
        if (await node.killWhileReplacing(milliseconds)) killedWithin++;
        await node.restart();
      }
      assert.ok(killedWithin > 0);
      const { verdict, counted } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      requireCounted(verdict, counted);
    });
  });

  it('is replaced by a version with another layout without a gap; verdicts are carried over by name', async (t) => {
    await withLoad(async (node) => {
      await delay(DEAD_MS);
      await node.kill();
      node.forge({ layout: 'another', imageVersion: 1 });
      await node.restart();
      const { verdict, counted } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      assert.equal(counted.verdicts['forwarded'], verdict.sent);
      assert.ok(counted.services[0] < verdict.sent, 'what the old image named cannot be read');
    });
  });

  it('is not replaced by a version with another flow hash, and forwards on; by force it is, without a gap', async (t) => {
    await withLoad(async (node) => {
      await delay(DEAD_MS);
      await node.kill();
      node.forge({ program: 'another', version: '0.0.1', flowHashVersion: 1 });
      await assert.rejects(
        node.restart(),
        /anyhop 0\.0\.1\) has version 1 of the flow hash, this anyhop version 2:/,
      );
      const before = await node.handedOver();
      await delay(DEAD_MS);
      assert.ok((await node.handedOver()) > before);
      await node.restart(true);
      const { verdict, counted } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      requireCounted(verdict, counted);
    });
  });

  it('takes an image that has outgrown its maps without a gap, and no counter is lost', async (t) => {
    await withLoad(async (node) => {
      await delay(DEAD_MS);
      await node.publish(EXTRA_BACKENDS);
      await delay(DEAD_MS);
      await node.publish(EXTRA_BACKENDS);
      const { verdict, counted } = await node.finish();
      t.diagnostic(told(verdict));
      requireAll(verdict, node);
      requireCounted(verdict, counted);
    });
  });
});
