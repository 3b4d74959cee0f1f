/** Counter numbers keep their meaning through every change of services and backends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnyhopError } from '#anyhop/core/errors.js';
import { L } from '#anyhop/core/layout.gen.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { imageBackends, imageServices } from '#anyhop/image/inspect.js';
import { Numbers } from '#anyhop/image/numbers.js';
import { type Assembly, fixedPath } from '#anyhop/node/assemble.js';
import { NODE, parse } from '../config/fixture.js';
import { assembleConfig } from '../node/assembled.js';
import { frame, ipv4, tcp } from '../packets/build.js';

describe('numbers', () => {
  it('are given in order from 0, the same for the same name, and never again', () => {
    const numbers = new Numbers();
    assert.deepEqual(
      ['a', 'b', 'a', 'c', 'b'].map((name) => numbers.of(name)),
      [0, 1, 0, 2, 1],
    );
    assert.deepEqual([numbers.size, numbers.names()], [3, ['a', 'b', 'c']]);
  });

  it('are given up, those of names that are gone, when there is none for a new one', () => {
    const numbers = new Numbers(['a', 'b', 'c']);
    assert.equal(numbers.roomFor(['b', 'd'], 4), numbers);
    const fresh = numbers.roomFor(['b', 'd', 'e'], 4);
    assert.deepEqual(
      ['b', 'd', 'e'].map((name) => fresh.of(name)),
      [0, 1, 2],
    );
    const full = new Numbers(Array.from({ length: 65535 }, (_, i) => `n${i}`));
    assert.equal(full.roomFor(['n0', 'n65534']), full);
    assert.equal(full.roomFor(['n0', 'new']).size, 0);
  });

  it('end at what 16 bits hold less the one that means none, with advice; those that are given stay', () => {
    const numbers = new Numbers();
    for (let i = 0; i < 65535; i++) assert.equal(numbers.of(`n${i}`), i);
    for (let again = 0; again < 2; again++) {
      assert.throws(
        () => numbers.of('one too many'),
        (error) =>
          error instanceof AnyhopError &&
          error.code === 'ERR_LIMIT' &&
          /backend of a pool counts/.test(error.hint!),
      );
    }
    assert.equal(numbers.of('n7'), 7);
    assert.equal(numbers.size, 65535);
  });
});

/** An image of pool `web` and service names at ports from 80 on, by a config. */
function next(backends: readonly string[], services: readonly string[], before?: Assembly): Assembly {
  const lines = (all: readonly string[], line: (name: string, index: number) => string) =>
    all.map(line).join('');
  const pools = `pools:\n  web:\n    table_size: 251\n    backends:\n${lines(
    backends,
    (name) => `      - {name: ${name}, address: 10.1.0.${name.slice(1)}}\n`,
  )}`;
  const served = `services:\n${lines(
    services,
    (name) =>
      `  - {name: ${name}, vip: 203.0.113.10, protocol: tcp, port: ${Number(name.slice(1)) + 80}, pool: web}\n`,
  )}`;
  const config = parse(NODE + pools + served, 'node');
  return assembleConfig(config, config.node, {
    generation: (before?.image.generation ?? 0) + 1,
    path: fixedPath(1500),
    ...(before && { numbers: before.numbers }),
  });
}

/** Counter number of each backend's address and of each service's port. */
function meaning({ image }: Assembly): Record<string, number> {
  return Object.fromEntries([
    ...imageBackends(image).map(({ address, counter }) => [address.text, counter]),
    ...imageServices(image).map(({ portFirst, counter }) => [`port ${portFirst}`, counter]),
  ]);
}

describe('the counters of an assembled image', () => {
  it('keep their numbers when one is added in front, removed, or comes back', () => {
    const first = next(['b5', 'b6'], ['s5', 's6']);
    const before = meaning(first);
    const added = next(['b1', 'b5', 'b6'], ['s1', 's5', 's6'], first);
    const more = meaning(added);
    for (const [name, number] of Object.entries(before)) assert.equal(more[name], number, name);
    assert.deepEqual([more['10.1.0.1'], more['port 81']], [2, 2]);
    const removed = next(['b1', 'b6'], ['s6'], added);
    assert.deepEqual(meaning(removed), { '10.1.0.1': 2, '10.1.0.6': before['10.1.0.6'], 'port 86': 1 });
    const back = meaning(next(['b6', 'b5'], ['s5'], removed));
    assert.equal(back['10.1.0.5'], before['10.1.0.5']);
    assert.equal(back['port 85'], before['port 85']);
  });

  it('count one backend under one name through every image, in a running pipeline', () => {
    const assembly = next(['b6'], ['s6']);
    const pipeline = new Pipeline(assembly.image);
    const send = (): void => {
      const bytes = frame(
        {},
        ipv4({ src: '198.51.100.7', dst: '203.0.113.10' }),
        tcp({ sport: 1, dport: 86 }),
      );
      const memory = new Uint8Array(L.HEADROOM + bytes.length);
      memory.set(bytes, L.HEADROOM);
      assert.equal(pipeline.process(new DataView(memory.buffer), L.HEADROOM, bytes.length), 0);
    };
    send();
    const grown = next(['b1', 'b2', 'b6'], ['s1', 's2', 's6'], assembly);
    pipeline.publish(grown.image);
    const only = next(['b6'], ['s6'], grown);
    pipeline.publish(only.image);
    send();
    const { counters } = pipeline;
    assert.deepEqual(counters.entriesByName('backends', only.numbers.backends.names()), {
      'web/b6': { packets: 2, bytes: 80 },
    });
    assert.deepEqual(counters.entriesByName('services', only.numbers.services.names()), {
      s6: { packets: 2, bytes: 80 },
    });
  });
});
