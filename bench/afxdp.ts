/**
 * How fast is the AF_XDP loop in TypeScript, over the same loop all in C? A veth pair; the far end offers more than either can
 * take and drops what comes back. The two take turns, and each ratio is of two turns side by side. `--quick` takes one.
 *
 *   peer: generator, core 0 --> eth0 ======== eth0 --> steering --> rings --> loop, core 1 --> eth0 --> dropped
 *
 * It is CPU time that is compared, so that what else runs on the machine counts as little as can be: packets a second of the
 * process's time, its compiler and garbage collector included.
 *
 * Two cores: the generator's also runs the receiving end of the node's interface, steering and the copy into packet memory
 * included; the loop's also runs what sending makes the kernel do, up to the drop.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createLink, here, LINK, type NodeLink } from '../test/engine/link.js';
import { Peer } from '../test/engine/peer.js';
import { imageOf, VIP4 } from '../test/forward/fixture.js';
import { isolationObstacle } from '../test/isolation.js';
import { NODE_MAC } from '../test/packets/build.js';
import { macBytes } from '../test/packets/layer.js';
import type { Language, LoopRequest, Measured } from './afxdp/process.js';
import { median, report, skip } from './report.js';

const NAME = 'AF_XDP loop, IPv4 TCP, 64-byte frames, 64k flows';
const quick = process.argv.includes('--quick');
const [TURNS, TURN_MS, WARM_UP_MS] = quick ? [1, 200, 300] : [9, 1000, 800];
/** Bounds the generator, which is ended before. */
const TRAFFIC_SECONDS = 120;
const DROP_ALL = `table netdev sink { chain ingress { type filter hook ingress device "${LINK}" priority -500; policy drop; }; }`;

const obstacle = isolationObstacle('nft');
if (obstacle !== false) skip(NAME, obstacle);
else {
  const link = await createLink([4], { mtu: 1500 });
  const node = new Peer<LoopRequest>(link.node, here('../../bench/afxdp/process.js'), [LINK]);
  try {
    await measure(link, node);
  } finally {
    await node.close();
    await link.resources.close();
  }
}

async function measure(link: NodeLink, node: Peer<LoopRequest>): Promise<void> {
  const image = imageOf({
    mac: macBytes(NODE_MAC),
    slots: 65537,
    pools: { web: Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i + 1}` })) },
  });
  await link.onPeer('nft', DROP_ALL);
  const [{ ifindex }] = JSON.parse(await link.onNode('ip', '-json', 'link', 'show', 'dev', LINK));
  const turn = async (language: Language): Promise<Measured> => {
    await node.ask({ start: language, image: image.bytes });
    await delay(WARM_UP_MS);
    const measured = (await node.ask({ measureMs: TURN_MS })) as Measured;
    await node.ask({ stop: true });
    return measured;
  };
  const generator = await link.resources.startProcess('generator', link.peer, [
    ...[process.execPath, here('../../scripts/traffic.js'), '--interface', LINK, '--mac', NODE_MAC],
    ...['--to', `tcp:${VIP4}:80`, '--count', '1e12', '--seconds', String(TRAFFIC_SECONDS)],
    ...['--cpu', String((ifindex + 1) % 2)],
  ]);
  const turns: Record<Language, Measured[]> = { TypeScript: [], C: [] };
  try {
    for (let i = 0; i < TURNS; i++) {
      for (const language of ['TypeScript', 'C'] as const) turns[language].push(await turn(language));
    }
  } finally {
    generator.kill();
    await generator.exited;
  }
  const perCpuSecond = (language: Language): number[] =>
    turns[language].map(({ packets, cpuSeconds }) => packets / cpuSeconds);
  const [ours, theirs] = [perCpuSecond('TypeScript'), perCpuSecond('C')];
  const told = (language: Language): string => {
    const busy = median(turns[language].map(({ cpuSeconds, seconds }) => cpuSeconds / seconds));
    return `${language} ${(1e9 / median(perCpuSecond(language))).toFixed(0)} ns a packet (its core ${Math.round(busy * 100)} % busy with it)`;
  };
  report({
    bench: `${NAME}: TypeScript over C`,
    value: median(ours.map((rate, i) => rate / theirs[i])),
    unit: 'x',
    target: 0.95,
    higherIsBetter: true,
    note: `packets a CPU second; medians of ${TURNS} turns: ${told('TypeScript')}, ${told('C')}; copy mode; the generator has the other core`,
  });
}
