/** Changes become images, in order, none lost, and what cannot be published leaves the last in force. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { createLog } from '#anyhop/core/log.js';
import type { Engine } from '#anyhop/engine/contract.js';
import { imageCounterNames, imageDigest } from '#anyhop/image/inspect.js';
import type { Image } from '#anyhop/image/read.js';
import { fixedPath } from '#anyhop/node/assemble.js';
import { Forwarding } from '#anyhop/node/forwarding.js';
import type { Path } from '#anyhop/packet/path.js';
import { NO_FACTS, statesOfConfig } from '#anyhop/pool/states.js';
import { NODE, parse, SERVICES } from '../config/fixture.js';

const BACKENDS = ['web-1', 'web-2', 'web-3'];
const POOLS = `pools:
  web:
    table_size: 251
    backends: [${BACKENDS.map((name, i) => `{name: ${name}, address: 10.1.0.${i + 1}}`).join(', ')}]
  dns:
    table_size: 251
    backends: [{name: dns-1, address: 10.1.1.1}]
`;
const CONFIG: LoadedConfig<'run'> = parse(NODE + POOLS + SERVICES, 'run');

/** @param lost no path is known to these */
function served({ node, services, pools }: LoadedConfig<'run'>, lost: ReadonlySet<string> = new Set()) {
  const facts = { ...NO_FACTS, isReachable: ({ name }: { readonly name: string }) => !lost.has(name) };
  return { node, services, pools: pools.map((pool) => statesOfConfig(pool, undefined, facts)) };
}

/** An engine that notes what it is given, and holds each publish back until told. */
function bench(predecessor?: Image) {
  const lost = new Set<string>();
  const published: Image[] = [];
  let failures = 0;
  let hold: Promise<void> | undefined;
  const engine: Partial<Engine> = {
    publish: async (image) => {
      await hold;
      if (failures-- > 0) throw new Error('out of memory');
      published.push(image);
    },
  };
  const known = fixedPath(1500);
  const path = (backend: Parameters<typeof known>[0]): Path | undefined =>
    lost.has(backend.name) ? undefined : known(backend);
  const forwarding = new Forwarding(
    { served: () => served(CONFIG, lost), path, macs: () => [] },
    predecessor,
    createLog('silent'),
  );
  forwarding.drive(engine as Engine);
  return {
    forwarding,
    lost,
    published,
    fail: (times: number) => {
      failures = times;
    },
    holdUntil: (promise: Promise<void>) => {
      hold = promise;
    },
  };
}

describe('a node that forwards', () => {
  it('publishes nothing when nothing has changed, as often as it is asked, and then what has', async () => {
    const { forwarding, published, lost } = bench();
    for (let i = 0; i < 3; i++) await forwarding.refresh();
    assert.equal(published.length, 0);
    lost.add('web-2');
    await forwarding.refresh();
    assert.equal(published.length, 1);
    assert.equal(forwarding.assembly.image, published[0]);
    assert.equal(published[0].generation, 2);
  });

  it('takes changes that come while one is being published together into the next, and loses none', async () => {
    const { forwarding, published, lost, holdUntil } = bench();
    let release = (): void => undefined;
    holdUntil(new Promise((resolve) => (release = resolve)));
    lost.add('web-1');
    const first = forwarding.refresh();
    await new Promise((resolve) => setImmediate(resolve));
    lost.add('web-2');
    void forwarding.refresh();
    lost.delete('web-1');
    const last = forwarding.refresh();
    release();
    await Promise.all([first, last]);
    assert.deepEqual(
      published.map(({ generation }) => generation),
      [2, 3],
    );
    const alone = bench();
    alone.lost.add('web-2');
    await alone.forwarding.refresh();
    assert.equal(imageDigest(published[1]), imageDigest(alone.published[0]));
  });

  it('asked again in the same moment in which a publish ends, publishes again', async () => {
    const { forwarding, published, lost } = bench();
    for (const name of [...BACKENDS, ...BACKENDS, ...BACKENDS]) {
      if (!lost.delete(name)) lost.add(name);
      const done = forwarding.refresh();
      // Microtasks of every depth behind the end of the publish.
      let then: Promise<unknown> = done;
      for (let depth = 0; depth < 4; depth++) then = then.then(() => undefined);
      await then;
    }
    assert.equal(published.length, 9);
  });

  it('keeps what is in force when a publish fails, and tries again with the next change', async () => {
    const { forwarding, published, lost, fail } = bench();
    const before = forwarding.assembly;
    fail(1);
    lost.add('web-3');
    await forwarding.refresh();
    assert.equal(forwarding.assembly, before);
    assert.equal(published.length, 0);
    await forwarding.refresh();
    assert.equal(published.length, 1);
    assert.notEqual(forwarding.assembly, before);
  });

  it('follows what a process before it left in force: a higher generation, the same numbers', () => {
    const config = parse(
      NODE + POOLS.replace('{name: web-1,', '{name: gone, address: 10.1.0.9}, {name: web-1,') + SERVICES,
      'run',
    );
    const known = fixedPath(1500);
    const log = createLog('silent');
    const before = new Forwarding(
      { served: () => served(config), path: known, macs: () => [] },
      undefined,
      log,
    ).assembly.image;
    const { image } = bench(before).forwarding.assembly;
    assert.equal(image.generation, before.generation + 1);
    const { backends } = imageCounterNames(image);
    assert.deepEqual(backends, imageCounterNames(before).backends);
    assert.ok(backends.includes('web/gone'));
  });
});
