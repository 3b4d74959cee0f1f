/**
 * The contract of an engine (src/engine/contract.ts) as tests, for any engine that can be put on a bench: frames go in,
 * what comes out is held against the pipeline's own answer, computed beside it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import type { EngineCounters, EngineName } from '#anyhop/engine/contract.js';
import { buildImage } from '#anyhop/image/build.js';
import { Image } from '#anyhop/image/read.js';
import { type FixtureOptions, imageOf, inputOf, NO_RULES, Runner, VIP4 } from '../forward/fixture.js';
import { NODE_MAC } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';
import { answered, CLIENT4, CLIENT6, expected, flows, flowsTo, mixed, unserved } from './contract-frames.js';
import { compiled, LISTS_ALONE } from './lists.js';

/** What a bench does between start and stop. */
export type Step =
  | { readonly publish: Image }
  /** Compiled lists to put in force; null for none. */
  | { readonly lists: Uint8Array | null }
  /** Another start of the engine that runs: whatever it rejects with, `run` rejects with. */
  | { readonly startAgain: Image }
  /** Frames for `tryFrame`. */
  | { readonly try: readonly Uint8Array[] }
  | {
      readonly send: readonly Uint8Array[];
      /** Published when about half of the frames have been received, while the rest is coming in. */
      readonly publishMidway?: Image;
    };

export interface Outcome {
  /** Frames, or packets without layer 2, in the order in which they came out. */
  readonly outputs: readonly Uint8Array[];
  /** Whole frames that `tryFrame` gave back, null for none. */
  readonly tried: readonly (Uint8Array | null)[];
  readonly engine: EngineCounters;
  readonly verdicts: Readonly<Record<string, number>>;
  /** Packets and bytes in turn, by number. */
  readonly services: readonly number[];
  readonly backends: readonly number[];
  /** L.GUARDED_KINDS a service, by number. */
  readonly guarded: readonly number[];
}

/** One engine, ready to be run again and again. */
export interface Bench {
  /** Starts the engine, takes the steps, waits until all is through, stops it. @param lists compiled, to start with */
  run(image: Image, steps: readonly Step[], lists?: Uint8Array): Promise<Outcome>;
  close(): Promise<void>;
}

/** What only an engine on a real interface can show. */
export interface InterfaceBench extends Bench {
  start(image: Image): Promise<void>;
  /** Frames for VIPs as fast as they can be sent, for about so long. @returns how many reached the interface */
  flood(frames: readonly Uint8Array[], milliseconds: number): Promise<number>;
  stop(): Promise<Outcome>;
  /** Throws unless the node's own sockets, ARP, neighbour discovery and ping work. */
  requireHostWorks(): Promise<void>;
  /** What the engine may change on the host, as text: equal before and after. */
  hostState(): Promise<string>;
  /** Rejects as a start in another process on the same interface does. */
  startSecond(image: Image): Promise<void>;
  /** Makes the next start fail behind the point where the host has been changed. */
  startBroken(image: Image): Promise<void>;
}

export interface EngineUnderTest {
  readonly name: EngineName;
  readonly skip: string | false;
  /** `packet`: the kernel adds layer 2. */
  readonly sends: 'frame' | 'packet';
  /** Whether `open` gives an InterfaceBench; what passes to the host is not compared then. */
  readonly onInterface: boolean;
  /** Whether it has a ring that overflows. A program in the kernel has none of its own. */
  readonly canMiss: boolean;
  open(): Promise<Bench | InterfaceBench>;
}

const OPTIONS: FixtureOptions = {
  mac: macBytes(NODE_MAC),
  source4: '10.0.0.1',
  source6: 'fd00::1',
  pools: {
    web: [
      { address: '10.1.0.11', mtu: 1600 },
      { address: 'fd00:1::12', mtu: 1600 },
      { address: '10.1.0.13', mtu: 1600 },
    ],
  },
};
/** The same slots, each with the next backend as its owner. */
const MOVED: FixtureOptions = { ...OPTIONS, owner: (slot, backends) => (slot + 1) % backends };
const FLOW_FRAMES = 1000;
/** Of the frames in flight at a publish. */
const MIDWAY_FRAMES = 4000;
const FLOOD_MS = 1500;

export function engineContract(engine: EngineUnderTest): void {
  describe(`the ${engine.name} engine`, { skip: engine.skip }, () => {
    let bench: Bench;
    before(async () => {
      bench = await engine.open();
    });
    after(() => bench?.close());
    const onInterface = (): InterfaceBench => bench as InterfaceBench;
    const needsInterface = engine.onInterface ? false : 'this engine runs on no interface';

    test('sends what the pipeline makes of every packet, byte for byte and in order', async () => {
      const image = imageOf(OPTIONS);
      const frames = [...flows(200), ...mixed()];
      const { outputs } = await bench.run(image, [{ send: frames }]);
      assert.deepEqual(outputs.map(hex), expected(engine, image, frames).outputs.map(hex));
    });

    test('counts each packet that it receives under one verdict, and by service and backend', async () => {
      const image = imageOf(OPTIONS);
      const frames = [...flows(200), ...mixed()];
      const outcome = await bench.run(image, [{ send: frames }]);
      const wanted = expected(engine, image, frames);
      assert.deepEqual(outcome.verdicts, wanted.verdicts);
      assert.deepEqual(outcome.services, wanted.services);
      assert.deepEqual(outcome.backends, wanted.backends);
      const total = Object.values(outcome.verdicts).reduce((sum, count) => sum + count, 0);
      assert.equal(outcome.engine.received, total);
      assert.deepEqual(
        { ...outcome.engine, received: 0 },
        { received: 0, sent: wanted.outputs.length, sendFailed: 0, missed: 0 },
      );
    });

    test('answers echo requests and packets that are too big to their senders', async () => {
      const image = imageOf(OPTIONS);
      const frames = answered();
      const { outputs, verdicts } = await bench.run(image, [{ send: frames }]);
      assert.deepEqual(verdicts, { echo_answered: 2, too_big_answered: 2 });
      assert.deepEqual(outputs.map(hex), expected(engine, image, frames).outputs.map(hex));
    });

    test('holds each source to the rules of the service, and counts what they did', async () => {
      const source = { mode: 'enforce', packets: 20, syn: undefined, prefix4: 32, prefix6: 64 } as const;
      const sourceRate = { ...source, perMs: 60_000, network: undefined };
      const rules = { ...NO_RULES, sourceRate };
      const image = imageOf({
        ...OPTIONS,
        rules: [rules, { ...rules, sourceRate: { ...sourceRate, mode: 'observe' } }],
      });
      const { verdicts, outputs, guarded } = await bench.run(image, [{ send: flows(200) }]); // of two clients
      const { forwarded, drop_source_rate: dropped } = verdicts;
      // A new window may begin in between, in which the former counts for nearly as much.
      assert.ok(forwarded >= 120 && forwarded <= 122, `${forwarded} forwarded`);
      assert.deepEqual([outputs.length, dropped], [forwarded, 200 - forwarded]);
      assert.equal(guarded[L.GUARDED_SOURCE_RATE], dropped);
      const would = guarded[L.GUARDED_KINDS + L.GUARDED_WOULD_SOURCE_RATE];
      assert.ok(would >= 78 && would <= 80, `${would} would have been dropped`);
    });

    test('sends nothing for what is for no VIP, for another machine, or for no service', async () => {
      const { outputs } = await bench.run(imageOf(OPTIONS), [{ send: unserved() }]);
      assert.deepEqual(outputs, []);
    });

    test('takes a published image between two packets, and mixes nothing', async () => {
      const images = [imageOf(OPTIONS), imageOf(MOVED)] as const;
      const before = flows(FLOW_FRAMES);
      const during = flows(MIDWAY_FRAMES);
      const after = flows(FLOW_FRAMES);
      const { outputs, engine: counters } = await bench.run(images[0], [
        { send: before },
        { send: during, publishMidway: images[1] },
        { send: after },
      ]);
      assert.equal(counters.missed, 0);
      const [old, moved] = images.map((image) =>
        expected(engine, image, [...before, ...during, ...after]).outputs.map(hex),
      ) as [string[], string[]];
      assert.ok(
        old.every((bytes, i) => bytes !== moved[i]),
        'every flow has another owner in the second image',
      );
      assert.equal(outputs.length, old.length);
      const generations = outputs.map((bytes, i) => [old[i], moved[i]].indexOf(hex(bytes)));
      const change = generations.indexOf(1);
      assert.ok(generations.every((generation, i) => generation === (i < change ? 0 : 1)));
      const margin = MIDWAY_FRAMES / 4;
      assert.ok(
        change >= before.length + margin && change <= before.length + during.length,
        `it was in the middle of traffic: at packet ${change}`,
      );
    });

    test('drops what is blocked by the lists that it starts with, and no more once there are others', async () => {
      const image = imageOf({ ...OPTIONS, rules: [LISTS_ALONE, LISTS_ALONE] });
      const frames = flows(60);
      const one = compiled({ block: [CLIENT4, '2001:db8::/32'], allow: [CLIENT6] });
      const other = compiled({ block: ['2001:db8::/32', '198.51.0.0/16'], allow: ['198.51.100.6/31'] });
      const next = [other, null].flatMap((lists) => [{ lists }, { send: frames }]);
      const { outputs, verdicts } = await bench.run(image, [{ send: frames }, ...next], one);
      const wanted = [one, other, null].map((lists) => expected(engine, image, frames, lists));
      assert.deepEqual(
        wanted.map((each) => each.outputs.length),
        [30, 30, 60],
      );
      assert.deepEqual(
        outputs.map(hex),
        wanted.flatMap((each) => each.outputs.map(hex)),
      );
      assert.deepEqual(verdicts, { forwarded: 120, drop_blocked: 60 });
    });

    test('takes an image that was published while nothing came in', async () => {
      const moved = imageOf(MOVED);
      const frames = flows(50);
      const { outputs } = await bench.run(imageOf(OPTIONS), [{ publish: moved }, { send: frames }]);
      assert.deepEqual(outputs.map(hex), expected(engine, moved, frames).outputs.map(hex));
    });

    test("counts on by name when names have new numbers, and a number shows nobody else's counts", async () => {
      const image = imageOf({ ...OPTIONS, generation: 2 });
      const frames = flows(60);
      const { services, backends } = await bench.run(withGoneNames(OPTIONS), [
        { send: frames },
        { publish: image },
        { send: frames },
      ]);
      const wanted = expected(engine, image, [...frames, ...frames]);
      assert.deepEqual([services, backends], [wanted.services, wanted.backends]);
    });

    test('takes an image by which a VIP has come and another has gone', async () => {
      const [came, stays] = ['203.0.113.77', VIP4];
      const service = (vip: string) => ({ vip, protocol: 'tcp', port: 80 }) as const;
      const moved = imageOf({ ...OPTIONS, services: [service(came), service(stays)] });
      const frames = [...flowsTo(came, 40), ...flowsTo(stays, 40)];
      const steps = [{ send: flows(10) }, { publish: moved }, { send: frames }];
      const { outputs } = await bench.run(imageOf(OPTIONS), steps);
      const wanted = [
        ...expected(engine, imageOf(OPTIONS), flows(10)).outputs,
        ...expected(engine, moved, frames).outputs,
      ];
      assert.equal(wanted.length, 90);
      assert.deepEqual(outputs.map(hex), wanted.map(hex));
    });

    test('tries a frame as it would forward it, sends nothing of it and counts nothing', async () => {
      const image = imageOf(OPTIONS);
      const frames = [...flows(20), ...mixed()];
      const { tried, outputs, verdicts, services, backends } = await bench.run(image, [
        { try: frames },
        { send: flows(20) },
        { try: flows(20) }, // not those that only one answer a tick is given to
      ]);
      const wanted = [...frames, ...flows(20)].map((bytes) => {
        const { out } = new Runner(image).run(bytes);
        return out && hex(out);
      });
      assert.deepEqual(
        tried.map((bytes) => (bytes === null ? undefined : hex(bytes))),
        wanted,
      );
      const once = expected(engine, image, flows(20));
      assert.deepEqual(outputs.map(hex), once.outputs.map(hex));
      assert.deepEqual(verdicts, once.verdicts);
      assert.deepEqual(services, once.services);
      assert.deepEqual(backends, once.backends);
    });

    test('runs without packets', async () => {
      const { outputs, engine: counters } = await bench.run(imageOf(OPTIONS), []);
      assert.deepEqual(outputs, []);
      assert.deepEqual(counters, { received: 0, sent: 0, sendFailed: 0, missed: 0 });
    });

    test('leaves to the host what is for the host', { skip: needsInterface }, async () => {
      const it = onInterface();
      await it.start(imageOf(OPTIONS));
      try {
        await it.requireHostWorks();
      } finally {
        await it.stop();
      }
    });

    test('counts every packet that reaches the interface, received or missed', {
      skip: needsInterface,
    }, async () => {
      const it = onInterface();
      await it.start(imageOf(OPTIONS));
      const arrived = await it.flood(flows(256), FLOOD_MS);
      const { engine: counters, verdicts } = await it.stop();
      if (engine.canMiss) assert.ok(counters.missed > 0, 'the flood was more than it could take');
      assert.ok(counters.received > 0);
      assert.equal(counters.received + counters.missed, arrived);
      assert.deepEqual(verdicts, { forwarded: counters.received });
      assert.equal(counters.sent + counters.sendFailed, counters.received);
    });

    test('takes back what it changed on the host, also after a failed start', {
      skip: needsInterface,
    }, async () => {
      const it = onInterface();
      const state = await it.hostState();
      await it.start(imageOf(OPTIONS));
      assert.notEqual(await it.hostState(), state);
      await it.stop();
      assert.equal(await it.hostState(), state);
      await assert.rejects(it.startBroken(imageOf(OPTIONS)));
      assert.equal(await it.hostState(), state);
      await it.start(imageOf(OPTIONS));
      await it.stop();
    });

    test('refuses an interface that another process has, and does it no harm', {
      skip: needsInterface,
    }, async () => {
      const it = onInterface();
      await it.start(imageOf(OPTIONS));
      try {
        const state = await it.hostState();
        await assert.rejects(it.startSecond(imageOf(OPTIONS)), { code: 'ERR_INTERFACE' });
        assert.equal(await it.hostState(), state);
      } finally {
        await it.stop();
      }
    });

    test('refuses to be started twice', async () => {
      const image = imageOf(OPTIONS);
      await assert.rejects(bench.run(image, [{ startAgain: image }]), /started already/);
    });
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** The same as `imageOf`, whose numbers come behind those of names that are gone. */
function withGoneNames(options: FixtureOptions): Image {
  const input = inputOf({ ...options, generation: 1 });
  return new Image(
    buildImage({
      ...input,
      pools: input.pools.map((pool) => ({
        ...pool,
        backends: pool.backends.map((backend) => ({ ...backend, counter: backend.counter + 2 })),
      })),
      serviceCounters: input.serviceCounters.map((counter) => counter + 1),
      counterNames: {
        services: ['gone', ...input.counterNames.services],
        backends: ['gone/a', 'gone/b', ...input.counterNames.backends],
      },
    }),
  );
}
