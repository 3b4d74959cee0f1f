/** What stands in an image: read back by the offsets of the C header, and sealed by its digest. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { buildImage, type ImageInput } from '#anyhop/image/build.js';
import {
  imageBackends,
  imageCounterNames,
  imageDigest,
  imageServices,
  imageVips,
} from '#anyhop/image/inspect.js';
import { Image } from '#anyhop/image/read.js';
import { parseAddress, parsePrefix } from '#anyhop/packet/address.js';
import { type FixtureOptions, imageOf, inputOf, Runner, VIP4, VIP6 } from '../forward/fixture.js';
import { frame, frameOf, ipv4, ipv4Fragments, ipv6, payload, tcp, udp } from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';

const CLIENT4 = '198.51.100.7';

const OPTIONS: FixtureOptions = {
  pools: {
    first: [{ address: '10.1.0.11', interfaceIndex: 3, mtu: 1500 }],
    second: [
      { address: '10.2.0.11', agent: false, vlan: 4094, interfaceIndex: 0x10002, id: 0x7007 },
      { address: 'fd00:2::12', mtu: 65535 },
    ],
  },
  services: [
    { vip: VIP6, protocol: 'udp', port: [8000, 8999], pool: 'second', hash: 'source' },
    { vip: VIP4, protocol: 'tcp', port: 443, pool: 'second', secondChance: true },
    { vip: VIP4, protocol: 'tcp', port: 80, pool: 'first', hash: '3-tuple' },
  ],
};

describe('an image read back', () => {
  const image = imageOf({ ...OPTIONS, generation: 0x12345678 });
  const view = new DataView(image.bytes.buffer);

  it('has its generation', () => {
    assert.equal(view.getUint32(L.HEADER_GENERATION, true), 0x12345678);
    assert.equal(image.generation, 0x12345678);
  });

  it('has the path to each backend: address, source, MACs, VLAN, MTU, interface, counter', () => {
    const mac = (index: number) => `02:00:00:00:01:0${index}`;
    const common = { sourceMac: '02:00:00:00:00:01' };
    const backends = imageBackends(image).map(({ address, source, ...rest }) => ({
      ...rest,
      address: address.text,
      source: source.text,
    }));
    assert.deepEqual(backends, [
      {
        ...common,
        address: '10.1.0.11',
        source: '10.0.0.1',
        mtu: 1500,
        flags: L.PATH_AGENT,
        id: 11,
        interfaceIndex: 3,
        destinationMac: mac(0),
        vlan: undefined,
        counter: 0,
      },
      {
        ...common,
        address: '10.2.0.11',
        source: '10.0.0.1',
        mtu: 9000,
        flags: 0,
        id: 0x7007,
        interfaceIndex: 0x10002,
        destinationMac: mac(0),
        vlan: 4094,
        counter: 1,
      },
      {
        ...common,
        address: 'fd00:2::12',
        source: 'fd00::1',
        mtu: 65535,
        flags: L.PATH_AGENT | L.PATH_OUTER_IPV6,
        id: 0x12,
        interfaceIndex: 0,
        destinationMac: mac(1),
        vlan: undefined,
        counter: 2,
      },
    ]);
    const path = (index: number) => image.pathWord * 4 + index * L.SIZEOF_PATH;
    assert.equal(view.getUint32(path(1) + L.PATH_INTERFACE_INDEX, true), 0x10002);
    assert.equal(view.getUint16(path(2) + L.PATH_COUNTER, true), 2);
  });

  it('has keys for the pool of a service with second chance alone, and they count for such a service alone', () => {
    const keysAt = (port: number) =>
      imageServices(image).find(({ portFirst }) => portFirst === port)!.secondChance;
    assert.deepEqual([8000, 443, 80].map(keysAt), [false, true, false]);
    const tableBytes = (services: FixtureOptions['services']) => {
      const { buffer } = imageOf({ ...OPTIONS, services: services! }).bytes;
      return new DataView(buffer).getUint32(L.HEADER_TABLE_BYTES, true);
    };
    const off = OPTIONS.services!.map((service) => ({ ...service, secondChance: false }));
    assert.equal(tableBytes(off), 2 * 512); // 251 owners of 2 bytes each, in whole lines of 64
    assert.equal(tableBytes(OPTIONS.services), 2 * 512 + 1024); // and 251 keys of 4 bytes
  });

  it('has the name of each counter, by number', () => {
    assert.deepEqual(imageCounterNames(image), {
      services: ['s0', 's1', 's2'],
      backends: ['first/b0', 'second/b0', 'second/b1'],
    });
    assert.equal(image.serviceCounters, 3);
    assert.equal(image.backendCounters, 3);
  });

  it('has the services with their VIPs, ports, hash, second chance and pool', () => {
    const services = imageServices(image)
      .map(({ vip, ...rest }) => ({ vip: vip.text, ...rest }))
      .sort((a, b) => a.counter - b.counter);
    const slots = 251;
    assert.deepEqual(services, [
      {
        vip: VIP6,
        protocol: 'udp',
        portFirst: 8000,
        portLast: 8999,
        counter: 0,
        hash: 'source',
        secondChance: false,
        slots,
        backendFirst: 1,
      },
      {
        vip: VIP4,
        protocol: 'tcp',
        portFirst: 443,
        portLast: 443,
        counter: 1,
        hash: '5-tuple',
        secondChance: true,
        slots,
        backendFirst: 1,
      },
      {
        vip: VIP4,
        protocol: 'tcp',
        portFirst: 80,
        portLast: 80,
        counter: 2,
        hash: '3-tuple',
        secondChance: false,
        slots,
        backendFirst: 0,
      },
    ]);
    assert.deepEqual(
      imageVips(image)
        .map(({ text }) => text)
        .sort(),
      [VIP6, VIP4].sort(),
    );
  });

  it('starts every section on a cache line, behind the header and within the image', () => {
    for (const offset of [
      L.HEADER_VIP_OFFSET,
      L.HEADER_SERVICE_OFFSET,
      L.HEADER_TABLE_OFFSET,
      L.HEADER_TEMPLATE_OFFSET,
      L.HEADER_PATH_OFFSET,
    ]) {
      const at = view.getUint32(offset, true);
      assert.ok(at % 64 === 0 && at >= L.SIZEOF_HEADER && at < image.bytes.length, `${offset}: ${at}`);
    }
    assert.equal(view.getUint32(L.HEADER_BACKEND_COUNT, true), 3);
    // Three services, and an entry for the fragments of the UDP one alone: VIP4's TCP hashes the ports.
    assert.equal(view.getUint32(L.HEADER_SERVICE_COUNT, true), 4);
    assert.equal(view.getUint32(L.HEADER_SERVICE_COUNTERS, true), 3);
    assert.equal(view.getUint32(L.HEADER_BACKEND_COUNTERS, true), 3);
  });
});

describe('services in any order', () => {
  it('are found at the same ports, of either protocol', () => {
    const services: NonNullable<FixtureOptions['services']>[number][] = [];
    for (const port of [1, 80, 443, 8000, 65535]) {
      services.push({ vip: VIP4, protocol: 'tcp', port, pool: 'first' });
      services.push({ vip: VIP4, protocol: 'udp', port: port === 80 ? [81, 99] : port, pool: 'second' });
    }
    const orders = [services, services.toReversed(), [...services.slice(4), ...services.slice(0, 4)]];
    for (const order of orders) {
      const runner = new Runner({ ...OPTIONS, services: order });
      for (const dport of [1, 2, 79, 80, 81, 90, 99, 100, 443, 8000, 8001, 65534, 65535]) {
        for (const [protocol, layer] of [
          ['tcp', tcp({ sport: 9, dport })],
          ['udp', udp({ sport: 9, dport })],
        ] as const) {
          const { verdict } = runner.run(frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), layer));
          const has = services.some((each) => {
            const [low, high] = typeof each.port === 'number' ? [each.port, each.port] : each.port;
            return each.protocol === protocol && low <= dport && dport <= high;
          });
          assert.equal(verdict, has ? 'forwarded' : 'drop_no_service', `${protocol} ${dport}`);
        }
      }
    }
  });
});

describe('the entry that answers for fragments', () => {
  const serve = (...services: FixtureOptions['services'] & object): FixtureOptions => ({
    pools: {
      first: Array.from({ length: 5 }, (_, i) => ({ address: `10.1.0.${i + 1}` })),
      second: [{ address: '10.2.0.1' }],
    },
    services,
    alternate: (slot, backends) => (slot + 1) % backends,
  });
  const piecesOf = (protocol: 'tcp' | 'udp') =>
    ipv4Fragments(
      { src: CLIENT4, dst: VIP4 },
      [(protocol === 'tcp' ? tcp : udp)({ sport: 9, dport: 80 }), payload(200)],
      64,
    );
  const verdicts = (options: FixtureOptions, protocol: 'tcp' | 'udp'): string[] => {
    const runner = new Runner(options);
    return [...new Set(piecesOf(protocol).map((piece) => runner.run(frameOf({}, piece)).verdict))];
  };
  const at = (protocol: 'tcp' | 'udp', port: number, rest: object = {}) => ({
    vip: VIP4,
    protocol,
    port,
    pool: 'first',
    ...rest,
  });

  it('never has a second chance, since no agent can look a fragment up', () => {
    const hash = '3-tuple';
    const runner = new Runner(serve(at('tcp', 80, { hash, secondChance: true })));
    const whole = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 9, dport: 80 }));
    assert.notEqual(decapsulate(runner.run(whole).out!).outer.key, undefined);
    for (const piece of piecesOf('tcp')) {
      assert.equal(decapsulate(runner.run(frameOf({}, piece)).out!).outer.key, undefined);
    }
  });

  it('is there where one pool and one kind of hash answer for all ports, and the same for both', () => {
    assert.deepEqual(verdicts(serve(at('udp', 80), at('udp', 81)), 'udp'), ['forwarded_fragment']);
    assert.deepEqual(verdicts(serve(at('udp', 80), at('udp', 81, { hash: '3-tuple' })), 'udp'), [
      'forwarded_fragment',
    ]);
    const bySource = { hash: 'source' };
    assert.deepEqual(verdicts(serve(at('udp', 80, bySource), at('udp', 81, bySource)), 'udp'), [
      'forwarded_fragment',
    ]);
    assert.deepEqual(verdicts(serve(at('tcp', 80, bySource)), 'tcp'), ['forwarded_fragment']);
  });

  it('is not there where pools or kinds of hash differ, or where a TCP service hashes ports', () => {
    const ambiguous = ['drop_fragment_ambiguous'];
    assert.deepEqual(verdicts(serve(at('udp', 80), at('udp', 81, { pool: 'second' })), 'udp'), ambiguous);
    assert.deepEqual(verdicts(serve(at('udp', 80), at('udp', 81, { hash: 'source' })), 'udp'), ambiguous);
    assert.deepEqual(verdicts(serve(at('udp', 80, { hash: 'source' }), at('udp', 81)), 'udp'), ambiguous);
    const needsPorts = serve(at('tcp', 80, { hash: '3-tuple' }), at('tcp', 81));
    assert.deepEqual(verdicts(needsPorts, 'tcp'), ['drop_fragment_tcp']);
    const differ = serve(at('tcp', 80, { hash: '3-tuple' }), at('tcp', 81, { hash: 'source' }));
    assert.deepEqual(verdicts(differ, 'tcp'), ambiguous);
  });

  it('feeds the counters of the service with the lowest port, and is none without services of that protocol', () => {
    const runner = new Runner(serve(at('tcp', 80), at('udp', 81), at('udp', 80)));
    for (const piece of piecesOf('udp')) runner.run(frameOf({}, piece));
    const { services } = runner.pipeline.counters;
    assert.deepEqual([services[0], services[2], services[4]], [0, 0, piecesOf('udp').length]);
    assert.deepEqual(verdicts(serve(at('tcp', 80)), 'udp'), ['drop_no_service']);
  });
});

describe('the digest of an image', () => {
  const input = inputOf(OPTIONS);
  const digestOf = (changed: Partial<ImageInput>): string =>
    imageDigest(new Image(buildImage({ ...input, ...changed })));
  const digest = digestOf({});

  it('is the SHA-256 of the image with digest and generation zero', () => {
    const bytes = Buffer.from(buildImage({ ...input, generation: 77 }));
    bytes.fill(0, L.HEADER_DIGEST, L.HEADER_DIGEST + 32).writeUInt32LE(0, L.HEADER_GENERATION);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), digest);
  });

  it('does not depend on the generation', () => {
    assert.equal(digestOf({ generation: 2 }), digest);
  });

  it('changes with everything else', () => {
    const [first, second] = input.pools;
    const [backend] = first.backends;
    const [service, ...others] = input.services;
    const backends = (change: object) => ({
      pools: [{ ...first, backends: [{ ...backend, ...change }] }, second],
    });
    const services = (change: object) => ({ services: [{ ...service, ...change }, ...others] });
    const other = first.owners.slice().fill(L.NONE, 250);
    const changes: Record<string, Partial<ImageInput>> = {
      mac: { mac: new Uint8Array(6) },
      'another mac': { mac: Uint8Array.of(0, 0, 0, 0, 0, 1) },
      source4: { source4: parsePrefix('10.0.0.2')! },
      'length of source4': { source4: parsePrefix('10.0.0.0/28')! },
      source6: { source6: parsePrefix('fd00::2')! },
      owners: { pools: [{ ...first, owners: other }, second] },
      keys: { pools: [first, { ...second, keys: second.keys!.slice().fill(1, 0, 1) }] },
      'a pool without keys': { pools: [first, { ...second, keys: undefined }] },
      address: backends({ address: parseAddress('10.1.0.12') }),
      agent: backends({ agent: false }),
      id: backends({ id: 9 }),
      mtu: backends({ mtu: 1501 }),
      interface: backends({ interfaceIndex: 4 }),
      'source MAC': backends({ sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 2) }),
      'destination MAC': backends({ destinationMac: Uint8Array.of(2, 0, 0, 0, 1, 9) }),
      vlan: backends({ vlan: 1 }),
      'another vlan': backends({ vlan: 2 }),
      'backend counter': backends({ counter: 1 }),
      vip: services({ vip: parseAddress('2001:db8:100::11') }),
      protocol: services({ protocol: 'tcp' }),
      'first port': services({ portFirst: 7999 }),
      'last port': services({ portLast: 9000 }),
      pool: services({ pool: 'first' }),
      hash: services({ hash: '3-tuple' }),
      'second chance': services({ secondChance: true }),
      'service counter': { serviceCounters: [1, 1, 2] },
      'name of a service counter': {
        counterNames: { ...input.counterNames, services: ['s0', 's1', 's3'] },
      },
      key: { flowKey: () => new Int32Array(L.FLOW_KEY_WORDS) },
      'another key': { flowKey: () => new Int32Array(L.FLOW_KEY_WORDS).fill(1, L.FLOW_KEY_WORDS - 1) },
    };
    const seen = new Map([[digest, 'nothing']]);
    for (const [what, changed] of Object.entries(changes)) {
      const became = digestOf(changed);
      assert.equal(seen.get(became), undefined, `${what} gives the digest of ${seen.get(became)}`);
      seen.set(became, what);
    }
  });
});

describe('an image without an outer source', () => {
  it('of a family is built when no backend needs it, and refused when one does', () => {
    const input = inputOf({ pools: { web: [{ address: '10.1.0.11' }] } });
    assert.doesNotThrow(() => buildImage({ ...input, source6: undefined }));
    assert.throws(() => buildImage({ ...input, source4: undefined }), RangeError);
    const six = inputOf({ pools: { web: [{ address: 'fd00::11' }] }, source4: '10.0.0.0/8' });
    const runner = new Runner(new Image(buildImage({ ...six, source4: undefined })));
    const asked = frame({}, ipv6({ src: '2001:db8:c::7', dst: VIP6 }), tcp({ sport: 1, dport: 80 }));
    assert.equal(decapsulate(runner.run(asked).out!).outer.src, 'fd00::1');
  });

  it('is refused too when a service names a pool that is not there', () => {
    assert.throws(() => buildImage({ ...inputOf(), pools: [] }), RangeError);
  });
});
