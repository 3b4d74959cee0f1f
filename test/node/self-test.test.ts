/** The packets that an engine must forward rightly before a node says that it is ready. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Engine } from '#anyhop/engine/contract.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { tryFrame } from '#anyhop/forward/try-frame.js';
import { fixedPath } from '#anyhop/node/assemble.js';
import { selfTest } from '#anyhop/node/self-test.js';
import { NODE, parse } from '../config/fixture.js';
import { assembleConfig } from './assembled.js';

const TEXT = `${NODE}pools:
  web: {backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: dns, vip: 2001:db8:100::53, protocol: udp, port: 53, pool: web}
`;
const CONFIG = parse(TEXT, 'run');
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);

function imageWith(path: ReturnType<typeof fixedPath>) {
  return assembleConfig(CONFIG, CONFIG.node, { generation: 1, path, mac: MAC }).image;
}

/** An engine that sends this for the n-th frame that it is given. */
function engineThat(decide: (frame: Uint8Array, count: number) => Uint8Array | undefined) {
  let count = 0;
  const engine: Partial<Engine> = { name: 'xdp', tryFrame: async (frame) => decide(frame, count++) };
  return { engine: engine as Engine, tried: () => count };
}

describe('the self-test', () => {
  const image = imageWith(fixedPath(1500));
  const right = (frame: Uint8Array) => tryFrame(new Pipeline(image), frame);

  it('tries one packet of each IP version, which the engine takes for its own and forwards', async () => {
    const { engine, tried } = engineThat((frame) => {
      const sent = right(frame);
      assert.ok(sent !== undefined && sent.length > frame.length, 'it is wrapped');
      return sent;
    });
    await selfTest(engine, image, CONFIG);
    assert.equal(tried(), 2);
  });

  it('fails when the engine sends nothing, or another byte, for either version', async () => {
    for (const wrong of [0, 1]) {
      const silent = engineThat((frame, i) => (i === wrong ? undefined : right(frame)));
      const message = new RegExp(`self-test: of a packet for ${['web', 'dns'][wrong]} it makes nothing`);
      await assert.rejects(selfTest(silent.engine, image, CONFIG), { code: 'ERR_ENGINE', message });
      const other = engineThat((frame, i) => {
        const sent = right(frame)!.slice();
        if (i === wrong) sent[sent.length - 1] ^= 1;
        return sent;
      });
      await assert.rejects(selfTest(other.engine, image, CONFIG), { code: 'ERR_ENGINE' });
    }
  });

  it('passes when no backend can be reached and the engine drops, and fails when it forwards all the same', async () => {
    const nobody = imageWith(() => undefined as never);
    const dropping = engineThat(() => undefined);
    await selfTest(dropping.engine, nobody, CONFIG);
    const forwarding = engineThat((frame) => right(frame));
    await assert.rejects(selfTest(forwarding.engine, nobody, CONFIG), { code: 'ERR_ENGINE' });
  });

  it('tries other clients where lists from before may block some, and fails on what it gets of these', async () => {
    const blocking = parse(`${TEXT}defend: {}\n`, 'run');
    const first = engineThat((frame, i) => (i % 2 === 0 ? undefined : right(frame)));
    await selfTest(first.engine, image, blocking);
    assert.equal(first.tried(), 4);
    const all = engineThat(() => undefined);
    await selfTest(all.engine, image, blocking);
    assert.equal(all.tried(), 10);
    const wrong = engineThat((frame, i) => (i === 0 ? undefined : right(frame)!.subarray(1)));
    await assert.rejects(selfTest(wrong.engine, image, blocking), { code: 'ERR_ENGINE' });
  });
});
