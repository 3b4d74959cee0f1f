/**
 * The xdp engine's process is killed, restarted, and made to publish, while packets flow: did each of them arrive, and where
 * an image in force sent it?
 *
 * Every packet has a number and a known flow. In image number g the owner of each slot is moved on by g backends, so where a
 * packet went tells by which image. A veth keeps the order, and each packet meets one image: numbers rise, and with them
 * images, one step at a time and never back. A packet that came by an older image than the one before it, by none, or by a
 * mix of two, is misdirected; and when all is over, as many steps must have been seen as there were images. Owners come round
 * again after a few images, so each one waits for a packet that has met the one before: a sender that the machine lets
 * starve would else miss a whole round of them.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineCounters } from '#anyhop/engine/contract.js';
import type { About } from '#anyhop/engine/xdp/about.js';
import { imageBackends } from '#anyhop/image/inspect.js';
import type { Image } from '#anyhop/image/read.js';
import { type FixtureBackend, imageOf, Runner, VIP4 } from '../forward/fixture.js';
import { frame, ipv4, NODE_MAC, payload, tcp } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';
import type { EngineRequest } from './engine-process.js';
import { forgeAbout } from './forge.js';
import { createLink, here, LINK, type NodeLink } from './link.js';
import { LISTS_ALONE } from './lists.js';
import { Peer } from './peer.js';
import type { Witnessed, WitnessRequest } from './witness-process.js';

const BACKENDS = 8;
/** Images between two packets: a killed process may have published one, and its successor has one of its own. */
const STEP_MAX = 2;
const FLOWS = 509;
const SLOTS = 1021;
const FIRST_ADDRESS = 11;
/** What a veth takes on one of two busy cores, with room to spare. */
const RATE = 20_000;
/** Packets are numbered up to here: longer than a run takes on a busy machine. */
const PACKETS_MAX = 120 * RATE;

export interface Verdict {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly misdirected: number;
  readonly duplicated: number;
  /** Changes of the image as packets show them. */
  readonly steps: number;
}

export interface Counted {
  readonly engine: EngineCounters;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly services: readonly number[];
  readonly backends: readonly number[];
}

/** The image that moves owners on by its number less one. @param extra backends of another pool, for an image that is larger */
export function movedImage(generation: number, extra = 0): Image {
  const pool = (count: number, address: (i: number) => string): FixtureBackend[] =>
    Array.from({ length: count }, (_, i) => ({ address: address(i) }));
  return imageOf({
    generation,
    rules: [LISTS_ALONE],
    mac: macBytes(NODE_MAC),
    pools: {
      web: pool(BACKENDS, (i) => `10.1.0.${FIRST_ADDRESS + i}`),
      ...(extra > 0 && { other: pool(extra, (i) => `10.2.${i >> 8}.${i & 255}`) }),
    },
    owner: (slot, backends) => (slot + generation - 1) % backends,
    slots: SLOTS,
  });
}

export function judge({ sent, refused, seen }: Witnessed): Verdict {
  const first = movedImage(1);
  const runner = new Runner(first);
  const owners = flowFrames().map((bytes) => {
    runner.run(bytes);
    return imageBackends(first)[runner.pipeline.backend].address.bytes[3] - FIRST_ADDRESS;
  });
  let [received, misdirected, duplicated, steps] = [0, 0, 0, 0];
  for (let number = 0; number < sent; number++) {
    const [times, where] = [seen[2 * number], seen[2 * number + 1]];
    if (times === 0) continue;
    received++;
    if (times > 1) duplicated++;
    const backend = (where & 0xff) - FIRST_ADDRESS;
    const step = (backend - owners[number % FLOWS] - (steps % BACKENDS) + 2 * BACKENDS) % BACKENDS;
    if (where >>> 8 !== backend || step > STEP_MAX) misdirected++;
    else steps += step;
  }
  return { sent: sent - refused, received, lost: sent - refused - received, misdirected, duplicated, steps };
}

function flowFrames(): Uint8Array[] {
  return Array.from({ length: FLOWS }, (_, flow) =>
    frame({}, ipv4({ src: '198.51.100.7', dst: VIP4 }), tcp({ sport: 1024 + flow, dport: 80 }), payload(10)),
  );
}

const REPLACEMENT_TIMEOUT_MS = 10_000;

/** A node under load, on a link of its own. */
export class LoadedNode {
  readonly #link: NodeLink;
  readonly #bpffs: string;
  readonly #witness: Peer<WitnessRequest>;
  #engine: Peer<EngineRequest>;
  #flowing = false;
  /** Of the last image that is in force for sure. */
  generation = 0;

  private constructor(link: NodeLink, bpffs: string, witness: Peer<WitnessRequest>) {
    this.#link = link;
    this.#bpffs = bpffs;
    this.#witness = witness;
    this.#engine = this.#spawn();
  }

  /** Starts the engine, then the packets. */
  static async start(): Promise<LoadedNode> {
    const link = await createLink();
    try {
      const bpffs = link.resources.bpffs();
      const args = [LINK, String(PACKETS_MAX), String(RATE)];
      const witness = new Peer<WitnessRequest>(link.peer, here('witness-process.js'), args);
      const node = new LoadedNode(link, bpffs, witness);
      try {
        await witness.hello();
        await node.restart();
        await witness.ask({ start: flowFrames() });
        node.#flowing = true;
        return node;
      } catch (error) {
        await node.close();
        throw error;
      }
    } catch (error) {
      await link.resources.close();
      throw error;
    }
  }

  /** @param extra as of movedImage */
  async publish(extra = 0): Promise<void> {
    const image = movedImage(this.generation + 1, extra);
    await this.#engine.ask({ ask: 'publish', image: image.bytes, afterPackets: 0 });
    await this.#met();
    this.generation++;
  }

  /** Puts compiled lists in force, null for none. */
  async publishLists(lists: Uint8Array | null): Promise<void> {
    await this.#engine.ask({ ask: 'lists', lists });
  }

  /** SIGKILL, while an image is being published. */
  async killWhilePublishing(): Promise<void> {
    const image = movedImage(this.generation + 1);
    const asked = this.#engine.ask({ ask: 'publish', image: image.bytes, afterPackets: 0 });
    await Promise.all([asked.catch(() => undefined), this.kill()]);
  }

  async kill(): Promise<void> {
    await this.#engine.kill();
    this.#engine = this.#spawn();
  }

  /** A new process takes over, with an image of its own. */
  async restart(force = false): Promise<void> {
    const found = (await this.#engine.ask({ ask: 'predecessor' })) as number | undefined;
    if (found !== undefined && found !== this.generation && found !== this.generation + 1) {
      throw new Error(`generation ${found} is in force, after ${this.generation}`);
    }
    const next = (found ?? 0) + 1;
    await this.#engine.ask({ ask: 'start', image: movedImage(next).bytes, force });
    await this.#met();
    this.generation = next;
  }

  /**
   * SIGKILL to a process so long after it has begun to pin a program that is to take the place of the one in force.
   * @returns whether it was in the middle of that
   */
  async killWhileReplacing(milliseconds: number): Promise<boolean> {
    const taken = this.restart().catch(() => undefined);
    const end = performance.now() + REPLACEMENT_TIMEOUT_MS;
    while (this.#sets() < 2 && performance.now() < end) await delay(1);
    await delay(milliseconds);
    await this.kill();
    await taken;
    return this.#sets() === 2;
  }

  /** How many are pinned, whole or not: <namespace>/<interface>/<number>. */
  #sets(): number {
    const names = readdirSync(this.#bpffs, { recursive: true }).map(String);
    return names.filter((name) => /^anyhop\/\d+\/\w+\/\d+$/.test(name)).length;
  }

  async counters(): Promise<Counted> {
    return (await this.#engine.ask({ ask: 'counters' })) as Counted;
  }

  /** Packets that the driver has handed to the node's program. */
  async handedOver(): Promise<number> {
    const text = await this.#link.onNode('ethtool', '-S', LINK);
    return Number(/rx_queue_0_xdp_packets: (\d+)/.exec(text)?.[1]);
  }

  /** Makes what is pinned look as another version left it. */
  forge(change: Partial<About>): void {
    forgeAbout(this.#bpffs, change);
  }

  /** Ends the packets, and says what became of them, and what was counted. */
  async finish(): Promise<{ verdict: Verdict; counted: Counted }> {
    const verdict = judge((await this.#witness.ask({ stop: true })) as Witnessed);
    return { verdict, counted: (await this.#engine.ask({ ask: 'stop' })) as Counted };
  }

  async close(): Promise<void> {
    await Promise.all([this.#witness.close(), this.#engine.close()]);
    await this.#link.resources.close();
  }

  /** Before there are packets, nothing can. */
  async #met(): Promise<void> {
    if (this.#flowing) await this.#engine.ask({ ask: 'met' });
  }

  #spawn(): Peer<EngineRequest> {
    return new Peer(this.#link.node, here('engine-process.js'), ['xdp', LINK, this.#bpffs]);
  }
}

/** Publishes and kills in turn, half of the kills in the middle of a publish. */
export async function publishAndKill(
  node: LoadedNode,
  { publishes, kills }: { readonly publishes: number; readonly kills: number },
): Promise<void> {
  const each = Math.ceil(publishes / kills);
  for (let kill = 0; kill < kills; kill++) {
    for (let i = 0; i < each; i++) await node.publish();
    if (kill % 2 === 0) await node.kill();
    else await node.killWhilePublishing();
    await node.restart();
  }
}

export function told({ sent, received, lost, misdirected }: Verdict): string {
  return `packets: ${sent} sent, ${received} received, ${lost} lost, ${misdirected} misdirected`;
}

/** Runs with a node of its own under load. */
export async function withLoad(use: (node: LoadedNode) => Promise<void>): Promise<void> {
  const node = await LoadedNode.start();
  try {
    await use(node);
  } finally {
    await node.close();
  }
}

/** Every packet arrived, once, by an image that was in force; and every image was seen in force. */
export function requireAll({ sent, lost, misdirected, duplicated, steps }: Verdict, node: LoadedNode): void {
  assert.ok(sent > 1000, `${sent} packets were sent`);
  assert.deepEqual(
    { lost, misdirected, duplicated, steps },
    { lost: 0, misdirected: 0, duplicated: 0, steps: node.generation - 1 },
  );
}

/** Every packet was counted, once, whichever process was there. */
export function requireCounted({ sent }: Verdict, { verdicts, services, backends, engine }: Counted): void {
  const packets = (entries: readonly number[]): number =>
    entries.reduce((sum, count, i) => (i % 2 === 0 ? sum + count : sum), 0);
  assert.equal(verdicts['forwarded'], sent);
  assert.equal(packets(services), sent);
  assert.equal(packets(backends), sent);
  assert.deepEqual(engine, { received: sent, sent, sendFailed: 0, missed: 0 });
}
