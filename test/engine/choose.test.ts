/** Which engine runs, and what is said about those that do not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { AnyhopError, InterfaceTaken } from '#anyhop/core/errors.js';
import { type EngineCandidate, startEngine } from '#anyhop/engine/choose.js';
import type { Engine } from '#anyhop/engine/contract.js';
import type { Image } from '#anyhop/image/read.js';
import { imageOf } from '../forward/fixture.js';

const IMAGE = imageOf();

interface Fate {
  readonly unmet?: string;
  readonly failure?: Error;
  readonly predecessor?: Image;
}

/** Engines that work, or not, as told; `started` lists those that were started, with their images. */
function candidates(fates: Partial<Record<EngineCandidate['name'], Fate>>) {
  const started: [string, Image][] = [];
  const list = NODE_ENGINES.map((name): EngineCandidate => {
    const { unmet, failure, predecessor } = fates[name] ?? {};
    return {
      name,
      async prepare() {
        if (unmet !== undefined) throw new AnyhopError('ERR_BPF', unmet, { hint: `mend ${name}` });
        const engine: Partial<Engine> = {
          name,
          predecessor: async () => predecessor,
          start: async (image: Image) => {
            if (failure !== undefined) throw failure;
            started.push([name, image]);
          },
        };
        return engine as Engine;
      },
    };
  });
  return { list, started };
}

const first = async (_engine: Engine, predecessor: Image | undefined): Promise<{ image: Image }> => ({
  image: predecessor ?? IMAGE,
});

describe('auto', () => {
  it('takes the fastest', async () => {
    const { list, started } = candidates({});
    const { engine, reason } = await startEngine('auto', list, first);
    assert.deepEqual([engine.name, reason], ['xdp', 'auto: the fastest']);
    assert.deepEqual(started, [['xdp', IMAGE]]);
  });

  it('takes the next when one cannot work or fails to start, and says why', async () => {
    const failure = new AnyhopError('ERR_BPF', 'the kernel refused it');
    const { list, started } = candidates({ xdp: { unmet: 'no bpffs' }, af_xdp: { failure } });
    const { engine, reason } = await startEngine('auto', list, first);
    assert.equal(engine.name, 'portable');
    assert.match(reason, /^auto; not xdp: .*no bpffs; not af_xdp: the kernel refused it$/);
    assert.deepEqual(
      started.map(([name]) => name),
      ['portable'],
    );
  });

  it('says what is in the way of each, and what to do, when none works', async () => {
    const all = { xdp: { unmet: 'x' }, af_xdp: { unmet: 'y' }, portable: { unmet: 'z' } };
    await assert.rejects(startEngine('auto', candidates(all).list, first), (error: AnyhopError) => {
      assert.equal(error.code, 'ERR_ENGINE');
      assert.match(error.message, /xdp: .*x\n.*af_xdp: .*y\n.*portable: .*z$/);
      assert.match(error.hint!, /mend xdp\n.*mend af_xdp\n.*mend portable/);
      return true;
    });
  });

  it('says once that somebody else has the interface, for that is so with every engine', async () => {
    const failure = new InterfaceTaken('another "anyhop run" runs on interface eth0', 'Stop it first.');
    const { list, started } = candidates({ xdp: { unmet: 'x' }, af_xdp: { failure } });
    await assert.rejects(startEngine('auto', list, first), failure);
    assert.deepEqual(started, []);
  });

  it('does not go on after a fault of the program', async () => {
    const { list, started } = candidates({ xdp: { failure: new TypeError('x is undefined') } });
    await assert.rejects(startEngine('auto', list, first), TypeError);
    assert.deepEqual(started, []);
  });
});

it('an engine is named once in a sentence about it', async () => {
  const all = {
    xdp: { unmet: 'the engine xdp lacks CAP_BPF' },
    af_xdp: { unmet: 'the MTU of eth0 is 9000: the engine af_xdp takes 3498 at most' },
    portable: {
      unmet: 'the portable engine lacks CAP_NET_RAW; the program of the engine xdp is still there',
    },
  };
  const said = [
    'it lacks CAP_BPF',
    'the MTU of eth0 is 9000: it takes 3498 at most',
    'it lacks CAP_NET_RAW; the program of the engine xdp is still there',
  ];
  const names = ['xdp', 'af_xdp', 'portable'] as const;
  const none = names.map((name, i) => `  not ${name}: ${said[i]}`).join('\n');
  await assert.rejects(startEngine('auto', candidates(all).list, first), {
    message: `no engine works here\n${none}`,
  });
  for (const [i, name] of names.entries()) {
    const message = `the engine ${name} cannot work here: ${said[i]}`;
    await assert.rejects(startEngine(name, candidates(all).list, first), { message });
  }
});

describe('an engine that is named', () => {
  it('is the one that runs, by the image that follows its predecessor', async () => {
    const predecessor = imageOf({ generation: 7 });
    const { list, started } = candidates({ af_xdp: { predecessor } });
    const { engine, reason } = await startEngine('af_xdp', list, first);
    assert.deepEqual([engine.name, reason], ['af_xdp', 'as configured']);
    assert.deepEqual(started, [['af_xdp', predecessor]]);
  });

  it('and cannot work says what is missing, and no other takes its place', async () => {
    const { list, started } = candidates({ af_xdp: { unmet: 'CAP_BPF is missing' } });
    await assert.rejects(startEngine('af_xdp', list, first), {
      code: 'ERR_ENGINE',
      message: /af_xdp cannot work here: CAP_BPF is missing/,
      hint: 'mend af_xdp',
    });
    assert.deepEqual(started, []);
  });
});
