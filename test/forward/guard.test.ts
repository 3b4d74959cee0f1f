/** The rules of defence over packets, in the reference: what they let through, what they count, and what they do while they observe. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DefendRules, SourceRate } from '#anyhop/config/defend/types.js';
import { L } from '#anyhop/core/layout.gen.js';
import { candidatesOf } from '#anyhop/forward/candidates.js';
import { isFlooded, setThreshold } from '#anyhop/forward/guard-state.js';
import { addressFromBytes } from '#anyhop/packet/address.js';
import { frame, ipv4, ipv6, tcp, udp } from '../packets/build.js';
import type { TcpFlag } from '../packets/transport.js';
import { NO_RULES, Runner, VIP4, VIP6 } from './fixture.js';

const RATE: SourceRate = {
  mode: 'enforce',
  packets: 20,
  syn: 5,
  perMs: 1000,
  prefix4: 32,
  prefix6: 64,
  network: undefined,
};
const UNITS_A_SECOND = 954;

/** Services of the fixture: TCP 80 of both VIPs, UDP 53 of both. */
function nodeWith(...rules: (DefendRules | undefined)[]): Runner {
  const runner = new Runner({ rules });
  runner.pipeline.now = 5 * UNITS_A_SECOND;
  return runner;
}

function from4(src: string, flags: readonly TcpFlag[] = ['ack']): Uint8Array {
  return frame({}, ipv4({ src, dst: VIP4 }), tcp({ sport: 1234, dport: 80, flags }));
}

function syn4(src: string): Uint8Array {
  return from4(src, ['syn']);
}

/** How many of so many packets pass. */
function passed(runner: Runner, count: number, packet: (i: number) => Uint8Array): number {
  let through = 0;
  for (let i = 0; i < count; i++) if (runner.run(packet(i)).action === 'forward') through++;
  return through;
}

function guarded(runner: Runner, service: number, kind: number): number {
  return runner.pipeline.counters.guarded[service * L.GUARDED_KINDS + kind];
}

describe('the rate of a source', () => {
  it('is what passes of it in a window; others, and packets for other services, are not touched', () => {
    const runner = nodeWith({ ...NO_RULES, sourceRate: RATE });
    assert.equal(
      passed(runner, 100, () => from4('198.51.100.7')),
      20,
    );
    assert.equal(guarded(runner, 0, L.GUARDED_SOURCE_RATE), 80);
    assert.equal(
      passed(runner, 15, () => from4('198.51.100.8')),
      15,
    );
    const dns = frame({}, ipv4({ src: '198.51.100.7', dst: VIP4 }), udp({ sport: 1, dport: 53 }));
    assert.equal(
      passed(runner, 100, () => dns),
      100,
    );
    runner.pipeline.now += 2 * UNITS_A_SECOND;
    assert.equal(
      passed(runner, 100, () => from4('198.51.100.7')),
      20,
    );
  });

  it('has a limit of its own for SYNs', () => {
    const runner = nodeWith({ ...NO_RULES, sourceRate: RATE });
    assert.equal(
      passed(runner, 12, () => syn4('198.51.100.7')),
      5,
    );
    assert.equal(
      passed(runner, 12, () => from4('198.51.100.7')),
      12,
    );
  });

  it('is that of a prefix, the same for all services that count together, and of one alone that does not', () => {
    const shared = { ...NO_RULES, sourceRate: { ...RATE, prefix4: 24 } };
    const tcp6 = (src: string): Uint8Array =>
      frame({}, ipv6({ src, dst: VIP6 }), tcp({ sport: 1, dport: 80, flags: ['ack'] }));
    const dns4 = (src: string): Uint8Array =>
      frame({}, ipv4({ src, dst: VIP4 }), udp({ sport: 1, dport: 53 }));
    const together = nodeWith(shared, shared, shared);
    assert.equal(
      passed(together, 30, (i) => from4(`198.51.100.${i}`)),
      20,
    );
    assert.equal(
      passed(together, 30, (i) => dns4(`198.51.100.${i}`)),
      0,
    );
    assert.equal(
      passed(together, 30, (i) => tcp6(`2001:db8:1::${i}`)),
      20,
    );
    assert.equal(
      passed(together, 30, (i) => tcp6(`2001:db8:1:${i + 1}::1`)),
      30,
    );
    const alone = nodeWith(shared, shared, { ...shared, ownSources: true });
    assert.equal(
      passed(alone, 30, (i) => from4(`198.51.100.${i}`)),
      20,
    );
    assert.equal(
      passed(alone, 30, (i) => dns4(`198.51.100.${i}`)),
      20,
    );
  });

  it('holds for all of its network too: what one of the two does not admit, neither counts', () => {
    const network = { packets: 30, syn: undefined };
    const runner = nodeWith({ ...NO_RULES, sourceRate: { ...RATE, network } });
    const next = (i: number): Uint8Array => from4(`198.51.100.${i % 3}`);
    assert.equal(passed(runner, 90, next), 30); // ten each
    assert.equal(
      passed(runner, 10, () => from4('198.51.100.99')),
      0,
    );
    assert.equal(
      passed(runner, 10, () => from4('198.51.101.99')),
      10,
    );
  });

  it('is keyed by the fleet’s secret: sources that share cells under one key do not under another', () => {
    const cells = new Set<string>();
    for (const secret of [1, 2, 3]) {
      const runner = new Runner({
        rules: [{ ...NO_RULES, sourceRate: RATE }],
        rulesSecret: Uint8Array.of(secret),
      });
      runner.run(from4('198.51.100.7'));
      const state = runner.pipeline.guardState;
      cells.add(String(state.findIndex((word, i) => i >= L.GUARD_SKETCH / 4 && word !== 0)));
    }
    assert.equal(cells.size, 3);
  });
});

describe('a rule that observes', () => {
  it('drops nothing, and counts what the same rule would drop that enforces', () => {
    const rules: DefendRules = {
      ...NO_RULES,
      sourceRate: RATE,
      serviceRate: { mode: 'enforce', syn: 3, perMs: 1000 },
    };
    const observed: DefendRules = {
      ...rules,
      sourceRate: { ...RATE, mode: 'observe' },
      serviceRate: { mode: 'observe', syn: 3, perMs: 1000 },
    };
    const [enforces, observes] = [nodeWith(rules), nodeWith(observed)];
    const packet = (i: number): Uint8Array =>
      i % 2 === 0 ? from4(`198.51.100.${i % 3}`) : syn4(`198.51.100.${i % 3}`);
    const dropped = 120 - passed(enforces, 120, packet);
    assert.equal(passed(observes, 120, packet), 120);
    const by = (runner: Runner, source: number, service: number): number[] =>
      [source, service].map((kind) => guarded(runner, 0, kind));
    const enforced = by(enforces, L.GUARDED_SOURCE_RATE, L.GUARDED_SERVICE_RATE);
    const would = by(observes, L.GUARDED_WOULD_SOURCE_RATE, L.GUARDED_WOULD_SERVICE_RATE);
    assert.equal(enforced[0] + enforced[1], dropped);
    assert.equal(would[0], enforced[0]);
    assert.ok(would[1] >= enforced[1], 'a packet that one rule would have dropped is judged by the next');
    assert.deepEqual(by(observes, L.GUARDED_SOURCE_RATE, L.GUARDED_SERVICE_RATE), [0, 0]);
  });
});

describe('the rate of a service', () => {
  it('lets so many SYNs to its backends, from wherever, and everything else', () => {
    const runner = nodeWith({ ...NO_RULES, serviceRate: { mode: 'enforce', syn: 50, perMs: 1000 } });
    assert.equal(
      passed(runner, 200, (i) => syn4(`198.51.${i}.1`)),
      50,
    );
    assert.equal(
      passed(runner, 200, (i) => from4(`198.51.${i}.1`)),
      200,
    );
    assert.equal(guarded(runner, 0, L.GUARDED_SYNS), 200);
    assert.equal(guarded(runner, 0, L.GUARDED_SERVICE_RATE), 150);
  });
});

describe('cookies that are sent under a flood', () => {
  it('begin above the threshold, are asked for ten seconds more, and no longer', () => {
    const runner = nodeWith({ ...NO_RULES, synCookies: { mode: 'observe', when: 'auto' } });
    const { pipeline } = runner;
    setThreshold(pipeline.guardState, 0, 40);
    passed(runner, 40, (i) => syn4(`198.51.${i}.1`));
    assert.equal(isFlooded(pipeline.guardState, 0, pipeline.now), false);
    passed(runner, 1, () => syn4('198.51.99.1'));
    assert.equal(isFlooded(pipeline.guardState, 0, pipeline.now), true);
    const [start, last] = [pipeline.now, 10 * UNITS_A_SECOND];
    assert.equal(isFlooded(pipeline.guardState, 0, start + last), true);
    assert.equal(isFlooded(pipeline.guardState, 0, start + last + UNITS_A_SECOND), false);
  });

  it('leave to a backend that takes none as many SYNs as the threshold', () => {
    const runner = nodeWith({ ...NO_RULES, synCookies: { mode: 'enforce', when: 'always' } });
    setThreshold(runner.pipeline.guardState, 0, 25);
    assert.equal(
      passed(runner, 100, (i) => syn4(`198.51.${i}.1`)),
      25,
    );
    assert.equal(guarded(runner, 0, L.GUARDED_SYN_LIMITED), 75);
  });
});

describe('the candidates', () => {
  it('are the sources that send much, with how much and how many were dropped, among thousands that do not', () => {
    const runner = nodeWith({ ...NO_RULES, sourceRate: { ...RATE, packets: 1000 } });
    for (let round = 0; round < 3000; round++) {
      runner.run(from4('198.51.100.7'));
      if (round % 2 === 0) runner.run(from4('203.0.114.9'));
      runner.run(from4(`192.0.${round >> 8}.${round & 255}`));
    }
    const { image, guardState, now } = runner.pipeline;
    const found = candidatesOf(image, guardState, now).sort((a, b) => b.dropped - a.dropped);
    assert.deepEqual(
      found.map(({ address, prefix, service }) => [addressFromBytes(address).text, prefix, service]),
      [
        ['198.51.100.7', 32, undefined],
        ['203.0.114.9', 32, undefined],
      ],
    );
    assert.equal(found[0].packets, 1000);
    assert.ok(Math.abs(found[0].dropped - 2000) <= 64 * 2, `${found[0].dropped}`);
    assert.ok(Math.abs(found[1].dropped - 500) <= 64 * 8, `${found[1].dropped}`);
  });
});
