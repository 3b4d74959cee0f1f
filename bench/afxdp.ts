/**
 * How fast is the AF_XDP loop in TypeScript, over the same loop all in C? Each has a veth pair, where the far end offers more
 * than it can take, for a moment, then the other's far end, in turns; and drops what comes back. `--quick` takes few turns.
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
import type { Image } from '#anyhop/image/read.js';
import { createLink, here, LINK, type NodeLink } from '../test/engine/link.js';
import { Peer } from '../test/engine/peer.js';
import { imageOf, VIP4 } from '../test/forward/fixture.js';
import { missingForIsolation } from '../test/isolation.js';
import { NODE_MAC } from '../test/packets/build.js';
import { macBytes } from '../test/packets/layer.js';
import type { OfferRequest } from './afxdp/offer.js';
import type { Language, LoopRequest, Told } from './afxdp/process.js';
import { median, report, skip } from './report.js';

const NAME = 'AF_XDP loop, IPv4 TCP, 64-byte frames, 64k flows';
const quick = process.argv.includes('--quick');
const [TURNS, WARM_UP_TURNS] = quick ? [3, 2] : [31, 5];
const TURN_MS = 300;
/** Until what is in the rings has been forwarded. */
const REST_MS = 20;
const DROP_ALL = `table netdev sink { chain ingress { type filter hook ingress device "${LINK}" priority -500; policy drop; }; }`;

/** One language's link, with both of its ends. */
class Side {
  readonly nsPerPacket: number[] = [];
  readonly #node: Peer<LoopRequest>;
  readonly #offer: Peer<OfferRequest>;

  constructor(link: NodeLink, language: Language, offerCpu: number) {
    const bench = (file: string): string => here(`../../bench/afxdp/${file}`);
    this.#node = new Peer(link.node, bench('process.js'), [LINK, language]);
    this.#offer = new Peer(link.peer, bench('offer.js'), [LINK, NODE_MAC, VIP4, String(offerCpu)]);
  }

  async start(image: Image): Promise<void> {
    await this.#offer.hello();
    await this.#node.ask({ start: image.bytes });
  }

  async turn(): Promise<void> {
    const before = (await this.#node.ask({ tell: true })) as Told;
    await this.#offer.ask({ milliseconds: TURN_MS });
    await delay(REST_MS);
    const after = (await this.#node.ask({ tell: true })) as Told;
    const packets = after.packets - before.packets;
    this.nsPerPacket.push(((after.cpuSeconds - before.cpuSeconds) / packets) * 1e9);
  }

  async close(): Promise<void> {
    await this.#offer.close();
    await this.#node.close();
  }
}

async function measure(closing: (() => Promise<void>)[]): Promise<void> {
  const image = imageOf({
    mac: macBytes(NODE_MAC),
    slots: 65537,
    pools: { web: Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i + 1}` })) },
  });
  const open = async (language: Language): Promise<Side> => {
    const link = await createLink([4], { mtu: 1500 });
    closing.push(() => link.resources.close());
    await link.onPeer('nft', DROP_ALL);
    const [{ ifindex }] = JSON.parse(await link.onNode('ip', '-json', 'link', 'show', 'dev', LINK));
    const side = new Side(link, language, (ifindex + 1) % 2); // the loop is on core ifindex % 2
    closing.push(() => side.close());
    await side.start(image);
    return side;
  };
  const [ours, theirs] = [await open('TypeScript'), await open('C')];
  for (let turn = 0; turn < WARM_UP_TURNS + TURNS; turn++) {
    for (const side of turn % 2 === 0 ? [ours, theirs] : [theirs, ours]) await side.turn();
  }
  const [typescript, c] = [ours, theirs].map(({ nsPerPacket }) => nsPerPacket.slice(WARM_UP_TURNS));
  report({
    bench: `${NAME}: TypeScript over C`,
    value: median(c.map((ns, turn) => ns / typescript[turn])),
    unit: 'x',
    target: 0.95,
    higherIsBetter: true,
    note: `packets a CPU second; medians of ${TURNS} turns: TypeScript ${median(typescript).toFixed(0)}, C ${median(c).toFixed(0)} ns a packet; copy mode; the generator has the other core`,
  });
}

const missing = missingForIsolation('nft');
if (missing !== false) skip(NAME, missing);
else {
  const closing: (() => Promise<void>)[] = [];
  try {
    await measure(closing);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}
