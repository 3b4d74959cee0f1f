/** The steering program held to the pipeline: both take the same frames, and count what they pass under the same verdicts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { searchWithout } from '#anyhop/engine/af_xdp/search.js';
import { ForwardMaps, searchPart } from '#anyhop/engine/maps/forward-maps.js';
import { forwardShape } from '#anyhop/engine/maps/sizes.js';
import { BpfObject } from '#anyhop/ffi/bpf.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import type { Image } from '#anyhop/image/read.js';
import { damaged, tweaked } from '../differential/mutate.js';
import { framesFor as generated } from '../differential/packets.js';
import { Random, seedOfRun } from '../differential/random.js';
import { imageFrom, RECIPES } from '../differential/recipe.js';
import { imageOf, Runner, VIP4, VIP6 } from '../forward/fixture.js';
import { frame, ipv4, ipv6, payload, tcp } from '../packets/build.js';
import { hostsDiscovery, nearlyDiscovery } from '../packets/neighbour.js';

const SIZES = { imageBytes: 1024 * 1024, services: 0, backends: 0 };
/** What a test run takes. */
const [FRAME_MIN, FRAME_MAX] = [14, 3520];
const FRAMES_PER_RECIPE = 300;

/** The program in the kernel, attached to nothing, with no socket: what it would steer, it drops and counts as missed. */
class Steer {
  readonly #object = new BpfObject(bpfObjectPath('steer'), forwardShape(SIZES));
  readonly #maps = ForwardMaps.of(this.#object, SIZES);

  publish(search: Uint8Array): Promise<void> {
    return this.#maps.publish(search);
  }

  /** The verdict that counted it, or `steered`. */
  judge(bytes: Uint8Array): string {
    const before = [...this.#maps.counters(0, 0).verdicts, this.#maps.verdict(L.STEER_MISSED)];
    const { action } = this.#object.testRun('anyhop_steer', bytes);
    const after = [...this.#maps.counters(0, 0).verdicts, this.#maps.verdict(L.STEER_MISSED)];
    const counted = after.flatMap((count, i) => (count === before[i] ? [] : [i]));
    assert.equal(counted.length, 1, 'one count a frame');
    const name = VERDICTS[counted[0]]?.name ?? 'steered';
    assert.equal(action, name === 'steered' ? 'drop' : 'pass');
    return name;
  }

  close(): void {
    this.#maps.close();
    this.#object.close();
  }
}

function pipelineSays(image: Image, bytes: Uint8Array): string {
  const { verdict } = new Runner(image).run(bytes.slice());
  return VERDICTS.find(({ name }) => name === verdict)!.action === 'pass' ? verdict : 'steered';
}

describe('the steering program', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  test('takes what the pipeline would not pass, over generated, tweaked and damaged packets', async () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const counts: Record<string, number> = {};
    for (const recipe of RECIPES) {
      const image = imageFrom(recipe, 1);
      const steer = new Steer();
      try {
        await steer.publish(searchPart(image));
        const frames = fc.sample(generated(recipe), { seed, numRuns: FRAMES_PER_RECIPE });
        for (const [i, whole] of frames.entries()) {
          const others = [tweaked(whole, random), damaged(whole, frames[(i + 1) % frames.length], random)];
          for (const bytes of [whole, ...others]) {
            if (bytes.length < FRAME_MIN || bytes.length > FRAME_MAX) continue;
            const verdict = steer.judge(bytes);
            const frameText = Buffer.from(bytes).toString('hex');
            assert.equal(verdict, pipelineSays(image, bytes), `seed ${seed}, ${frameText}`);
            counts[verdict] = (counts[verdict] ?? 0) + 1;
          }
        }
      } finally {
        steer.close();
      }
    }
    console.log(`steering: seed ${seed}, ${JSON.stringify(counts)}`);
    for (const name of ['steered', 'pass_not_ip', 'pass_not_vip', 'pass_other_host', 'pass_neighbour'])
      assert.ok(counts[name] > 0, name);
  });

  test('leaves neighbour discovery for a VIP to the host, and nothing that only looks like it', async () => {
    const image = imageOf();
    const steer = new Steer();
    try {
      await steer.publish(searchPart(image));
      for (const { name, frame } of hostsDiscovery(VIP6))
        assert.equal(steer.judge(frame), 'pass_neighbour', name);
      for (const { name, frame } of nearlyDiscovery(VIP6)) assert.equal(steer.judge(frame), 'steered', name);
    } finally {
      steer.close();
    }
  });

  test('passes packets for VIPs that are taken out, and goes on finding all others', async () => {
    const vips = Array.from({ length: 200 }, (_, i) => `203.0.113.${i}`);
    const services = [...vips, VIP6].map((vip) => ({ vip, protocol: 'tcp', port: 80 }) as const);
    const image = imageOf({ services });
    const gone = new Set(vips.filter((_, i) => i % 3 === 0));
    const goneWords = new Set([...gone].map((vip) => Buffer.from(vip.split('.').map(Number)).readInt32LE()));
    const steer = new Steer();
    try {
      const isGone = (vip: number): boolean => goneWords.has(image.words[vip + 3]);
      await steer.publish(searchWithout(image, searchPart(image), isGone));
      const segment = [tcp({ sport: 5000, dport: 80 }), payload(10)];
      for (const vip of vips) {
        const verdict = steer.judge(frame({}, ipv4({ src: '198.51.100.7', dst: vip }), ...segment));
        assert.equal(verdict, gone.has(vip) ? 'pass_not_vip' : 'steered', vip);
      }
      assert.equal(steer.judge(frame({}, ipv6({ src: '2001:db8::1', dst: VIP6 }), ...segment)), 'steered');
      await steer.publish(searchWithout(image, searchPart(image), () => true));
      const client = ipv4({ src: '198.51.100.7', dst: VIP4 });
      assert.equal(steer.judge(frame({}, client, ...segment)), 'pass_not_vip');
    } finally {
      steer.close();
    }
  });
});
