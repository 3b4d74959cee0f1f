/**
 * How many packets a second does the portable engine forward? Two network namespaces and a veth pair; the far end
 * offers more than the engine can take (64-byte TCP frames of 4096 flows, counting the frame check sequence), and
 * counts the GRE packets that come back. The median of several rounds. `--quick` measures one short round.
 *
 * The generator, the kernel's receive path behind it and the engine share the machine's cores.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineCounters } from '#anyhop/engine/contract.js';
import { CaptureWriter } from '#anyhop/packet/capture.js';
import type { EngineRequest } from '../test/engine/engine-process.js';
import { createLink, here, LINK, type NodeLink } from '../test/engine/link.js';
import { Peer } from '../test/engine/peer.js';
import { imageOf, VIP4 } from '../test/forward/fixture.js';
import { missingForIsolation } from '../test/isolation.js';
import { frame, ipv4, NODE_MAC, payload, tcp } from '../test/packets/build.js';
import { macBytes } from '../test/packets/layer.js';
import { median, report, skip } from './report.js';

const NAME = 'portable engine, IPv4 TCP, GRE over IPv4, 64-byte frames';
const quick = process.argv.includes('--quick');
const [ROUNDS, ROUND_MS, WARM_UP_MS] = quick ? [1, 300, 300] : [7, 2000, 3000];
const FLOWS = 4096;
const DROP_ALL = `table netdev sink { chain ingress { type filter hook ingress device "${LINK}" priority 0; policy drop; }; }`;

const missing = missingForIsolation('nft', 'ethtool');
if (missing !== false) skip(NAME, missing);
else {
  const link = await createLink();
  const engine = new Peer<EngineRequest>(link.node, here('engine-process.js'), ['portable', LINK]);
  try {
    await measure(link, engine);
  } finally {
    await engine.close();
    await link.resources.close();
  }
}

async function measure(link: NodeLink, engine: Peer<EngineRequest>): Promise<void> {
  const image = imageOf({
    mac: macBytes(NODE_MAC),
    slots: 65537,
    pools: { web: Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i + 1}` })) },
  });
  await engine.ask({ ask: 'start', image: image.bytes });
  // Counted by the interface before; what the far end's stack would do with them is no part of the question.
  await link.onPeer('nft', DROP_ALL);
  const argv = [process.execPath, here('../packets/inject.js'), LINK, writeFlows(link), '1e9', '1e9'];
  const generator = await link.resources.startProcess('generator', link.peer, argv);
  await delay(WARM_UP_MS);
  const forwarded: number[] = [];
  const offered: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = await readSink(link);
    await delay(ROUND_MS);
    const after = await readSink(link);
    const seconds = (after.at - before.at) / 1000;
    forwarded.push((after.received - before.received) / seconds);
    offered.push((after.sent - before.sent) / seconds);
  }
  generator.kill();
  await generator.exited;
  const { engine: counters } = (await engine.ask({ ask: 'stop' })) as { engine: EngineCounters };
  if (counters.missed === 0) throw new Error('the generator did not offer more than the engine could take');
  const perSecond = (rates: number[]): string => Math.round(median(rates)).toLocaleString('en');
  report({
    bench: NAME,
    value: median(forwarded),
    unit: 'packets/s',
    note: `${perSecond(offered)} offered; ${counters.sendFailed} refused by the kernel; ${'bottleneck: sendto (profile in bench/README.md)'}`,
  });
}

/** The far end's counters: packets that it sent and received. */
async function readSink({ onPeer }: NodeLink): Promise<{ at: number; sent: number; received: number }> {
  const [{ stats64 }] = JSON.parse(await onPeer('ip', '-json', '-stats', 'link', 'show', 'dev', LINK));
  return { at: performance.now(), sent: stats64.tx.packets, received: stats64.rx.packets };
}

function writeFlows({ resources }: NodeLink): string {
  const file = join(resources.directory, 'flows.pcap');
  const writer = new CaptureWriter(file);
  for (let i = 0; i < FLOWS; i++) {
    const packet = [ipv4({ src: `198.51.100.${i % 250}`, dst: VIP4 }), tcp({ sport: 1024 + i, dport: 80 })];
    writer.write(frame({}, ...packet, payload(6)), 0n);
  }
  writer.close();
  return file;
}
