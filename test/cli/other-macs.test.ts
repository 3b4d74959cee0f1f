/**
 * A node with several MAC addresses on its interface, as keepalived makes one: a macvlan with the virtual address of VRRP, or a further
 * address of the card. Frames for each are forwarded while the host has it, and those for other machines named in the log: on each engine.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LabProcess } from '../../scripts/lab/process.js';
import { createLink, LINK, letXdpArrive } from '../engine/link.js';
import { VIP4 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { frame, ipv4, payload, tcp } from '../packets/build.js';
import { FLAGS, sendFlows, startRun, writeFleet } from './run-fixture.js';

const VRRP_MAC = '00:00:5e:00:01:33';
const FURTHER_MAC = '02:00:00:00:77:02';
const TIMEOUT_MS = 10_000;
const COUNT = 20;

const framesFor = (dst: string): Uint8Array[] =>
  Array.from({ length: COUNT }, (_, i) =>
    frame(
      { dst },
      ipv4({ src: '198.51.100.7', dst: VIP4 }),
      tcp({ sport: 1024 + i, dport: 80 }),
      payload(10),
    ),
  );

describe('a node with several MAC addresses', {
  skip: missingForIsolation('nft', 'ethtool'),
  concurrency: true,
}, () => {
  for (const engine of ['xdp', 'af_xdp', 'portable'] as const) {
    test(`forwards frames for each while it has it, and names those for others in the log: ${engine}`, async (t) => {
      const link = await createLink();
      t.after(() => link.resources.close());
      const { onNode, resources } = link;
      if (engine !== 'portable') await letXdpArrive(link);
      const file = writeFleet(link, { node: { engine, bpffs: resources.bpffs() } });
      const run = await startRun(link, ['-c', file, ...FLAGS]);
      const forwarded = async (mac: string): Promise<number> => (await sendFlows(link, framesFor(mac))).gre4;

      assert.equal(await forwarded(VRRP_MAC), 0, 'before the host has it');
      const stray = await run.waitForEvent('stray_frames', TIMEOUT_MS);
      assert.equal(stray['others'], COUNT);
      assert.match(String(stray['msg']), /20 for other MAC addresses \(pass_other_host\)/);

      await onNode('ip', 'link', 'add', 'vrrp', 'link', LINK, 'address', VRRP_MAC, 'type', 'macvlan');
      await onNode('ip', 'link', 'set', 'vrrp', 'up');
      await inForce(run, (macs) => macs.includes(VRRP_MAC));
      assert.equal(await forwarded(VRRP_MAC), COUNT, 'of a macvlan');
      await onNode('bridge', 'fdb', 'add', FURTHER_MAC, 'dev', LINK, 'self', 'permanent');
      await inForce(run, (macs) => macs.includes(FURTHER_MAC));
      assert.equal(await forwarded(FURTHER_MAC), COUNT, 'of the card');
      await onNode('ip', 'link', 'del', 'vrrp');
      await inForce(run, (macs) => !macs.includes(VRRP_MAC));
      assert.equal(await forwarded(VRRP_MAC), 0, 'once the macvlan is gone');
      await run.stop('SIGINT');
    });
  }
});

/** Resolves once an image is in force for addresses that `wanted` accepts. */
async function inForce(run: LabProcess, wanted: (macs: string) => boolean): Promise<void> {
  const index = await eventually(() =>
    run.events.findLastIndex(({ event, macs }) => event === 'own_mac' && wanted(String(macs))),
  );
  await eventually(() => run.events.findIndex(({ event }, i) => i > index && event === 'published'));
}

async function eventually(find: () => number): Promise<number> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const found = find();
    if (found >= 0) return found;
    assert.ok(performance.now() < deadline, 'it comes into force');
    await delay(50);
  }
}
