/** Counters: what is counted, under which number, and that numbers outlive images. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildImage } from '#anyhop/image/build.js';
import { Image } from '#anyhop/image/read.js';
import { frame, icmpEcho, ipv4, ipv6, payload, tcp, udp } from '../packets/build.js';
import { type FixtureOptions, imageOf, inputOf, Runner, VIP4, VIP6 } from './fixture.js';

const CLIENT4 = '198.51.100.7';
const CLIENT6 = '2001:db8:c::7';
const SERVICES: FixtureOptions['services'] = [
  { vip: VIP4, protocol: 'tcp', port: 80, pool: 'first' },
  { vip: VIP6, protocol: 'udp', port: 53, pool: 'second' },
];
const POOLS = {
  first: [{ address: '10.1.0.11' }, { address: '10.1.0.12' }],
  second: [{ address: '10.2.0.11' }, { address: '10.2.0.12' }, { address: '10.2.0.13' }],
};
const web = (bytes: number) =>
  frame({ padTo: 120 }, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 }), payload(bytes - 40));
const dns = (bytes: number) =>
  frame(
    { padTo: 120, vlans: [9] },
    ipv6({ src: CLIENT6, dst: VIP6 }),
    udp({ sport: 1, dport: 53 }),
    payload(bytes - 48),
  );

describe('counters', () => {
  it('count IP bytes, neither tags nor padding nor outer headers, for the service and for the backend that it went to', () => {
    const runner = new Runner({ pools: POOLS, services: SERVICES, owner: (_, backends) => backends - 1 });
    for (const bytes of [40, 51, 106]) assert.equal(runner.run(web(bytes)).verdict, 'forwarded');
    for (const bytes of [48, 60]) assert.equal(runner.run(dns(bytes)).verdict, 'forwarded');
    const { counters } = runner.pipeline;
    assert.deepEqual([...counters.services], [3, 197, 2, 108]);
    // Backends 0 and 1 are the first pool's, 2 to 4 the second's; the last of each owns every slot.
    assert.deepEqual([...counters.backends], [0, 0, 3, 197, 0, 0, 0, 0, 2, 108]);
  });

  it('do not count what is answered or dropped as a service’s or a backend’s', () => {
    const runner = new Runner({ pools: POOLS, services: SERVICES });
    assert.equal(
      runner.run(frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), icmpEcho())).verdict,
      'echo_answered',
    );
    const late = frame({}, ipv4({ src: CLIENT4, dst: VIP4, ttl: 1 }), tcp({ sport: 1, dport: 80 }));
    assert.equal(runner.run(late).verdict, 'drop_ttl_expired');
    const { counters } = runner.pipeline;
    assert.ok(counters.services.every((count) => count === 0) && counters.backends.every((n) => n === 0));
    assert.deepEqual(counters.verdictsByName(), { echo_answered: 1, drop_ttl_expired: 1 });
    assert.equal(counters.total(), 2);
  });

  it('go by the numbers of the image, whatever the order of its services and backends, and stay when an image follows', () => {
    const input = inputOf({ pools: POOLS, services: SERVICES, owner: () => 0 });
    const names = Array.from({ length: 14 }, (_, number) => `n${number}`);
    const renumbered = (generation: number, add: number) =>
      new Image(
        buildImage({
          ...input,
          generation,
          pools: input.pools.map((pool) => ({
            ...pool,
            backends: pool.backends.map((backend) => ({ ...backend, counter: 9 + add - backend.counter })),
          })),
          serviceCounters: [3 + add, 1 + add],
          counterNames: { services: names.slice(0, 4 + add), backends: names.slice(0, 10 + add) },
        }),
      );
    const runner = new Runner(renumbered(1, 0));
    const { pipeline } = runner;
    runner.run(web(40));
    runner.run(dns(48));
    assert.deepEqual([...pipeline.counters.services], [0, 0, 1, 48, 0, 0, 1, 40]);
    assert.deepEqual(pipeline.counters.entriesByName('backends', names), {
      n7: { packets: 1, bytes: 48 },
      n9: { packets: 1, bytes: 40 },
    });
    pipeline.publish(renumbered(2, 2));
    runner.run(web(41));
    runner.run(dns(49));
    assert.deepEqual(pipeline.counters.entriesByName('services', names), {
      n1: { packets: 1, bytes: 48 },
      n3: { packets: 2, bytes: 40 + 49 },
      n5: { packets: 1, bytes: 41 },
    });
    assert.deepEqual(pipeline.counters.entriesByName('backends', names), {
      n7: { packets: 1, bytes: 48 },
      n9: { packets: 2, bytes: 40 + 49 },
      n11: { packets: 1, bytes: 41 },
    });
    assert.equal(pipeline.counters.services.length, 12);
    assert.equal(pipeline.counters.backends.length, 24);
  });

  it('keep their room when an image needs less of it', () => {
    const runner = new Runner(imageOf({ pools: POOLS, services: SERVICES, owner: () => 1 }));
    runner.run(dns(48));
    runner.pipeline.publish(imageOf({ generation: 2, pools: { web: [{ address: '10.1.0.11' }] } }));
    assert.deepEqual(runner.pipeline.counters.entriesByName('backends', ['a', 'b', 'c', 'd']), {
      d: { packets: 1, bytes: 48 },
    });
  });
});

describe('publishing an image', () => {
  it('takes a newer generation and the same one again, and refuses an older one, which changes nothing', () => {
    const dead = (generation: number) => imageOf({ generation, services: [] });
    const runner = new Runner(imageOf({ generation: 5 }));
    assert.throws(() => runner.pipeline.publish(dead(4)), RangeError);
    assert.equal(runner.run(web(40)).verdict, 'forwarded');
    runner.pipeline.publish(imageOf({ generation: 5 }));
    runner.pipeline.publish(dead(6));
    assert.equal(runner.run(web(40)).verdict, 'pass_not_vip');
  });
});
