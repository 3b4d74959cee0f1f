/** What the XDP programs record of packets, and which: by test runs, so each packet's fate is known. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { AGENT_PROGRAM } from '#anyhop/agent/program.js';
import { PacketFields } from '#anyhop/capture/fields.js';
import { FilterMatch } from '#anyhop/capture/filter-match.js';
import { type CaptureFilter, type CapturePoint, UNKNOWN, UNKNOWN_SLOT } from '#anyhop/capture/record.js';
import { AGENT_VERDICTS, L, VERDICTS } from '#anyhop/core/layout.gen.js';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import type { Descriptor } from '#anyhop/ffi/descriptor.js';
import { addressFromBytes, parseAddress } from '#anyhop/packet/address.js';
import { PinnedCapture } from '#anyhop/pins/capture.js';
import { CaptureMaps } from '#anyhop/pins/capture-maps.js';
import { FORWARD_PROGRAM, Forwarder, sizesFor } from '../../scripts/native/forwarder.js';
import { inner4, judge, loadAgent, outer4, wrapped, wrappedBytes } from '../agent/fixture.js';
import { framesFor } from '../differential/packets.js';
import { seedOfRun } from '../differential/random.js';
import { imageFrom, RECIPES } from '../differential/recipe.js';
import { imageOf, VIP4, VIP6 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { arpRequest, frame, gre, ipv4, ipv6, NODE_MAC, payload, tcp, udp } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';
import { ArmedProgram } from './armed.js';

const CLIENT = '198.51.100.7';
const v = (name: string): number => VERDICTS.findIndex((each) => each.name === name);
const av = (name: string): number => AGENT_VERDICTS.findIndex((each) => each.name === name);

describe('a capture of the forwarding program', { skip: missingForIsolation('taskset') }, () => {
  const image = imageOf({ mac: macBytes(NODE_MAC), generation: 7 });
  let forwarder: Forwarder;
  let program: Descriptor;
  let captured: ArmedProgram;

  before(() => {
    forwarder = new Forwarder(sizesFor([image]));
    forwarder.publish(image);
    program = forwarder.object.program(FORWARD_PROGRAM);
    captured = new ArmedProgram(forwarder.object);
  });
  after(() => {
    captured?.close();
    program?.close();
    forwarder?.close();
  });

  const web = (source = CLIENT, sport = 1024, size = 6): Uint8Array =>
    frame({}, ipv4({ src: source, dst: VIP4 }), tcp({ sport, dport: 80 }), payload(size));
  const web6 = frame({}, ipv6({ src: '2001:db8:c::7', dst: VIP6 }), tcp({ sport: 1024, dport: 80 }));
  const dns = frame({}, ipv4({ src: CLIENT, dst: VIP4 }), udp({ sport: 5353, dport: 53 }), payload(20));
  const noService = frame({}, ipv4({ src: CLIENT, dst: VIP4 }), tcp({ sport: 1024, dport: 81 }));
  const notVip = frame({}, ipv4({ src: CLIENT, dst: '192.0.2.1' }), tcp({ sport: 1024, dport: 80 }));
  const arp = arpRequest({ sender: '10.0.0.2', target: '10.0.0.77' });
  const all = [web(), web6, dns, noService, notVip, arp];
  /** Which of `all` a filter records, by their numbers. */
  const recorded = (filter: Partial<CaptureFilter>): number[] => {
    captured.arm(filter);
    for (const each of all) program.testRun(each);
    return captured.take().map(({ inBytes }) => all.findIndex((each) => Buffer.compare(each, inBytes) === 0));
  };

  it('has each packet as it came in, as it left, and how that was decided', () => {
    captured.arm({});
    const run = program.testRun(web());
    const [record, ...more] = captured.take();
    assert.deepEqual(more, []);
    assert.deepEqual(Buffer.from(record.inBytes), Buffer.from(web()));
    assert.deepEqual(Buffer.from(record.outBytes), run.frame);
    const { service, backend, slot, generation, inLength, outLength, verdict } = record;
    assert.deepEqual(
      { service, generation, inLength, outLength, verdict },
      {
        service: 0,
        generation: 7,
        inLength: web().length,
        outLength: run.frame.length,
        verdict: L.V_FORWARDED,
      },
    );
    assert.equal(backend, slot % 2);
  });

  it('says of a packet that got nowhere no more than is known', () => {
    captured.arm({});
    program.testRun(noService);
    const [{ service, backend, slot, outLength, outBytes, verdict }] = captured.take();
    assert.deepEqual(
      { service, backend, slot, outLength, out: outBytes.length, verdict },
      {
        service: UNKNOWN,
        backend: UNKNOWN,
        slot: UNKNOWN_SLOT,
        outLength: 0,
        out: 0,
        verdict: v('drop_no_service'),
      },
    );
  });

  it('keeps the first bytes of a frame, and says how long it was', () => {
    captured.arm({ snapLength: 100 });
    const { frame: left } = program.testRun(web(CLIENT, 1024, 1200));
    const [record] = captured.take();
    assert.deepEqual(Buffer.from(record.inBytes), Buffer.from(web(CLIENT, 1024, 1200).subarray(0, 100)));
    assert.deepEqual(Buffer.from(record.outBytes), left.subarray(0, 100));
    assert.deepEqual([record.inLength, record.outLength], [web(CLIENT, 1024, 1200).length, left.length]);
  });

  it('records everything without a filter', () => assert.deepEqual(recorded({}), [0, 1, 2, 3, 4, 5]));
  it('keeps to a VIP', () => {
    assert.deepEqual(recorded({ vip: parseAddress(VIP4)! }), [0, 2, 3]);
    assert.deepEqual(recorded({ vip: parseAddress(VIP6)! }), [1]);
  });
  it('keeps to clients of a prefix', () => {
    const client = (text: string, bits: number): Partial<CaptureFilter> => ({
      client: { address: parseAddress(text)!, bits },
    });
    assert.deepEqual(recorded(client(CLIENT, 32)), [0, 2, 3, 4]);
    assert.deepEqual(recorded(client('198.51.64.0', 18)), [0, 2, 3, 4]);
    assert.deepEqual(recorded(client('198.51.101.0', 24)), []);
    assert.deepEqual(recorded(client('2001:db8:c::', 47)), [1]);
    assert.deepEqual(recorded(client('0.0.0.0', 0)), [0, 2, 3, 4]);
  });
  it('keeps to ports and protocols', () => {
    assert.deepEqual(recorded({ servicePort: 80 }), [0, 1, 4]);
    assert.deepEqual(recorded({ clientPort: 5353 }), [2]);
    assert.deepEqual(recorded({ protocol: 17 }), [2]);
    assert.deepEqual(recorded({ protocol: 6, servicePort: 81 }), [3]);
  });
  it('keeps to verdicts', () => {
    assert.deepEqual(recorded({ verdicts: [v('drop_no_service'), v('pass_not_ip')] }), [3, 5]);
    assert.deepEqual(recorded({ verdicts: [v('pass_not_vip')] }), [4]);
    assert.deepEqual(recorded({ verdicts: [] }), []);
  });
  it('keeps to a backend', () => {
    const both = [0, 1].map((backend) => recorded({ backend, verdicts: [L.V_FORWARDED] }));
    assert.deepEqual(both.flat().sort(), [0, 1, 2]);
  });

  it('looks at one packet in so many', () => {
    onOneCpu(() => {
      for (const each of [web(), noService]) {
        captured.arm({ sample: 7 });
        for (let i = 0; i < 7 * 30 + 3; i++) program.testRun(each);
        assert.equal(captured.take().length, 31);
      }
    });
  });

  it('takes no packet for a sample because one before it was', () => {
    onOneCpu(() => {
      captured.arm({ sample: 300, verdicts: [v('drop_no_service')] });
      for (let i = 0; i < 900; i++) program.testRun(i % 300 === 0 ? web() : noService);
      assert.deepEqual(captured.take(), []);
    });
  });

  it('counts a record that finds no room as lost, and has all others', () => {
    captured.arm({ snapLength: 2048 });
    const large = web(CLIENT, 1024, 1800);
    const packets = Math.ceil(L.CAPTURE_RING_BYTES / (2 * large.length)) + 50;
    for (let i = 0; i < packets; i++) program.testRun(large);
    const kept = captured.take();
    assert.ok(captured.lost > 0, 'the ring was full');
    assert.equal(kept.length + captured.lost, packets);
    assert.equal(new Set(kept.map(({ id }) => id)).size, kept.length);
  });

  it('ends by itself when its lease is over', () => {
    captured.arm({});
    captured.deadlineNs = 1n;
    assert.ok(captured.isArmed);
    program.testRun(web());
    assert.equal(captured.isArmed, false);
    assert.deepEqual(captured.take(), []);
    captured.extend(); // the reader stood still, and goes on
    program.testRun(web());
    assert.equal(captured.take().length, 1);
  });

  it('ends by itself between two samples', () => {
    captured.arm({ sample: 1_000_000 });
    captured.deadlineNs = 1n;
    for (let i = 0; i < 64 * 8; i++) program.testRun(web());
    assert.equal(captured.isArmed, false);
  });

  it('refuses a second capture until the first has ended', () => {
    const other = new ArmedProgram(forwarder.object);
    try {
      captured.arm({});
      assert.throws(() => other.arm({}), { code: 'ERR_INTERFACE', message: /another capture/ });
      captured.disarm();
      other.arm({});
      assert.throws(() => captured.extend(), { code: 'ERR_INTERFACE' });
      program.testRun(web());
      assert.equal(captured.take().length, 0, 'whoever stood still takes nothing from its successor');
      assert.equal(other.take().length, 1);
    } finally {
      other.close();
    }
  });

  it('tells for how long nothing was recorded, when its reader stood still or another program took over', async () => {
    captured.disarm();
    let programId = 1;
    const reader = new PinnedCapture({
      point: 'forwarder',
      interface: 'eth0',
      description: 'a test',
      names: async () => ({ generation: 0, services: [], backends: [] }),
      find: () => ({ programId, maps: CaptureMaps.of(forwarder.object) }),
    });
    try {
      await reader.arm({ sample: 1, snapLength: 64 });
      assert.equal(reader.blindMs, 0);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
      await reader.read(300);
      const stood = reader.blindMs;
      assert.ok(stood >= 450, `${stood} ms`);
      programId++;
      await reader.read(600);
      assert.ok(reader.blindMs > stood);
    } finally {
      await reader.close();
    }
  });

  it('leaves out test runs unless it is asked for them', () => {
    captured.arm({}, false);
    program.testRun(web());
    assert.deepEqual(captured.take(), []);
  });

  it('never leaves out a packet that the filter is after', () => {
    const seed = seedOfRun();
    console.log(`forwarder: ANYHOP_SEED=${seed}`);
    for (const [number, recipe] of RECIPES.slice(0, 3).entries()) {
      const own = imageFrom(recipe, 1);
      const node = new Forwarder(sizesFor([own]));
      node.publish(own);
      try {
        const frames = fc.sample(framesFor(recipe), { numRuns: 250, seed: seed + number });
        neverTooLittle(node.object, FORWARD_PROGRAM, frames, 'forwarder');
      } finally {
        node.close();
      }
    }
  });
});

describe('a capture of the agent', { skip: missingForIsolation() }, () => {
  let agent: BpfObject;
  let captured: ArmedProgram;

  before(() => {
    agent = loadAgent();
    captured = new ArmedProgram(agent);
  });
  after(() => {
    captured?.close();
    agent?.close();
  });

  const request = wrapped(inner4(), tcp({ sport: 1024, dport: 80, flags: ['syn'] }), payload(10));
  const stranger = frame({}, outer4({ src: '192.0.2.9' }), gre(), inner4(), tcp({ sport: 1024, dport: 80 }));
  const host = frame({}, ipv4({ src: CLIENT, dst: '10.1.0.11' }), tcp({ sport: 1, dport: 22 }));

  it('has the GRE packet, and what is delivered', () => {
    captured.arm({});
    const { frame: delivered } = judge(agent, request);
    const [record] = captured.take();
    assert.equal(record.verdict, av('delivered'));
    assert.deepEqual(Buffer.from(record.inBytes), Buffer.from(request));
    assert.deepEqual(Buffer.from(record.outBytes), delivered);
    assert.deepEqual(
      [record.service, record.backend, record.slot, record.generation],
      [UNKNOWN, UNKNOWN, UNKNOWN_SLOT, 0],
    );
  });

  it('has the key that a packet came in with, also when it is sent on', () => {
    const key = 0x0a01000c; // of the former format: web-2
    const ack = frame(
      {},
      outer4(),
      gre({ key }),
      inner4(),
      tcp({ sport: 1024, dport: 80, flags: ['ack'] }),
      payload(10),
    );
    captured.arm({});
    const { verdict, frame: sent } = judge(agent, ack);
    const [record] = captured.take();
    assert.equal(verdict, 'sent_on');
    assert.equal(record.verdict, av('sent_on'));
    assert.equal(Buffer.from(Uint32Array.of(record.key).buffer).readUInt32BE(), key);
    assert.deepEqual(Buffer.from(record.outBytes), sent);
  });

  it('looks into the packet inside of GRE', () => {
    const recorded = (filter: Partial<CaptureFilter>): number[] => {
      captured.arm(filter);
      for (const each of [request, stranger, host]) judge(agent, each);
      return captured.take().map(({ verdict }) => verdict);
    };
    assert.deepEqual(
      recorded({ servicePort: 22 }),
      [av('drop_stranger'), av('pass_not_gre')],
      'what it cannot tell it records',
    );
    assert.deepEqual(recorded({ servicePort: 80 }), [av('delivered'), av('drop_stranger')]);
    assert.deepEqual(recorded({ servicePort: 81, verdicts: [av('delivered')] }), []);
    assert.deepEqual(
      recorded({ client: { address: parseAddress('198.51.100.0')!, bits: 24 }, verdicts: [av('delivered')] }),
      [av('delivered')],
    );
  });

  it('never leaves out a packet that the filter is after', () => {
    captured.disarm();
    const seed = seedOfRun();
    console.log(`agent: ANYHOP_SEED=${seed}`);
    const frames = fc.sample(framesFor(RECIPES[0]), { numRuns: 200, seed });
    const inside = frames
      .filter(({ length }) => length >= 54)
      .map((bytes) => wrappedBytes(bytes.subarray(14)));
    neverTooLittle(agent, AGENT_PROGRAM, [...frames, ...inside], 'agent');
  });
});

/** Samples are counted by CPU: keeps this thread on one meanwhile. */
function onOneCpu(work: () => void): void {
  const affinity = (...args: string[]): string =>
    execFileSync('taskset', ['-p', ...args, String(process.pid)], { encoding: 'utf8' });
  const mask = affinity().trim().split(' ').at(-1)!;
  affinity('1');
  try {
    work();
  } finally {
    affinity(mask);
  }
}

/** Runs each frame under filters that are made of what frames have, and compares with what a filter is meant to let through. */
function neverTooLittle(
  object: BpfObject,
  name: string,
  frames: readonly Uint8Array[],
  point: CapturePoint,
): void {
  const program = object.program(name);
  const captured = new ArmedProgram(object);
  const fields = new PacketFields();
  const sized = frames.filter(({ length }) => length >= 14 && length <= 2048);
  let wanted = 0;
  try {
    for (const filter of filtersOf(sized, point)) {
      captured.arm(filter);
      const match = new FilterMatch({ sample: 1, snapLength: 2048, ...filter });
      for (const bytes of sized) {
        program.testRun(bytes);
        const isRecorded = captured.take().length === 1;
        if (isRecorded || !match.wants(fields.read(bytes, 0, bytes.length, point), UNKNOWN)) continue;
        assert.fail(`${JSON.stringify(filter)} leaves out ${Buffer.from(bytes).toString('hex')}`);
      }
      wanted++;
    }
  } finally {
    captured.close();
    program.close();
  }
  assert.ok(wanted > 0);
}

function* filtersOf(frames: readonly Uint8Array[], point: CapturePoint): Generator<Partial<CaptureFilter>> {
  const fields = new PacketFields();
  for (let i = 0; i < frames.length; i += 40) {
    const { family, bytes, source, destination, protocol, sourcePort, destinationPort } = fields.read(
      frames[i],
      0,
      frames[i].length,
      point,
    );
    if (family === 0) continue;
    const size = family === 4 ? 4 : 16;
    const at = (offset: number) => addressFromBytes(bytes.slice(offset, offset + size));
    yield { vip: at(destination) };
    yield { client: { address: at(source), bits: (i * 7) % (8 * size + 1) } };
    if (protocol >= 0) yield { protocol };
    if (sourcePort >= 0) yield { clientPort: sourcePort };
    if (destinationPort >= 0) yield { servicePort: destinationPort, vip: at(destination) };
  }
}
