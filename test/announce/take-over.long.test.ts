/** What looks like the end of a node, and is none: a new version that takes over, and an announcer that did not get to run. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { forgeAbout } from '../engine/forge.js';
import { createXdpLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { ANNOUNCED, Announcing, SOON_MS } from './run-fixture.js';

/** Long enough that the node is tried once a second only. */
const GONE_MS = 2_000;
const TIMES = 4;

describe('anyhop announce', { skip: missingForIsolation('ethtool', 'nft') }, () => {
  test('keeps the rows when the next version of the node replaces the program', async () => {
    const lab = new Announcing(await createXdpLink());
    try {
      let node = await lab.startNode();
      const announcer = await lab.startAnnouncer();
      await lab.waitForRows(ANNOUNCED);
      const monitor = await lab.watchRows();
      for (let i = 0; i < TIMES; i++) {
        node.kill();
        await node.exited;
        // At other moments of the second between two looks.
        await delay(GONE_MS + (1000 * i) / TIMES);
        forgeAbout(lab.link.bpffs, { program: 'another', version: '0.0.1' });
        node = await lab.startNode();
        await node.waitForEvent('ready', SOON_MS);
        // Heard, too, before it is killed.
        for (let tries = 0; tries < 50 && lab.status().heard.state !== 'serving'; tries++) await delay(50);
      }
      await delay(1500);
      const reasons = announcer.events.filter(({ event }) => event === 'withdrawn').map(({ msg }) => msg);
      assert.deepEqual([monitor.lines(), reasons], [[], []]);
    } finally {
      await lab.link.resources.close();
    }
  });

  test('withdraws nothing when it was stopped itself, and not the node', async () => {
    const lab = new Announcing(await createXdpLink(), { node: { engine: 'portable' } });
    try {
      await lab.startNode();
      const announcer = await lab.startAnnouncer();
      await lab.waitForRows(ANNOUNCED);
      const monitor = await lab.watchRows();
      process.kill(announcer.pid, 'SIGSTOP');
      await delay(5000);
      process.kill(announcer.pid, 'SIGCONT');
      await delay(1500);
      assert.deepEqual(monitor.lines(), []);
    } finally {
      await lab.link.resources.close();
    }
  });
});
