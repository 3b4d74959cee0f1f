/** Reports that come in by a real interface: which of them the kernel lets through, for addresses that nobody has, too. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type IpPrefix, parsePrefix } from '#anyhop/packet/address.js';
import type { TooBig } from '#anyhop/packet/too-big.js';
import { PathErrors } from '#anyhop/underlay/path-errors.js';
import { inside } from '../../scripts/native/attached.js';
import { createLink, here, LINK } from '../engine/link.js';
import { Peer } from '../engine/peer.js';
import type { WireRequest } from '../engine/wire-process.js';
import { missingForIsolation } from '../isolation.js';
import {
  frame,
  gre,
  icmpEcho,
  icmpError,
  icmpv6Error,
  ipv4,
  ipv6,
  packet,
  payload,
  ROUTER_MAC,
  udp,
} from '../packets/build.js';
import { lineLog } from './underlay.js';

const WIRE = here('wire-process.js');
const WAIT_MS = 10_000;
const SOURCES = ['10.0.9.16/28', 'fd00::1/128'].map((text) => parsePrefix(text) as IpPrefix);

const about4 = (src: string, protocol = 47) =>
  packet(
    ipv4({ src, dst: '10.1.0.11', df: true, protocol }),
    gre({ key: 1, etherType: 0x0800 }),
    payload(1400),
  );
const about6 = (src: string) =>
  packet(ipv6({ src, dst: 'fd00:1::11', nextHeader: 47 }), gre({ etherType: 0x86dd }), payload(1400));
const report4 = (about: Uint8Array, o: { code?: number; to?: string; mac?: string } = {}) =>
  frame(
    o.mac === undefined ? {} : { dst: o.mac },
    ipv4({ src: '10.9.9.9', dst: o.to ?? '10.0.9.17' }),
    icmpError({ type: 3, code: o.code ?? 4, mtu: 1400, about }),
  );
const report6 = (about: Uint8Array, type = 2) =>
  frame({}, ipv6({ src: 'fd00:9::9', dst: 'fd00::1' }), icmpv6Error({ type, mtu: 1400, about }));

describe('reports about paths', { skip: missingForIsolation('ethtool') }, () => {
  it('are heard when they are about GRE from the sources, whoever they are for, and nothing else is', async () => {
    const link = await createLink();
    const peer = new Peer<WireRequest>(link.peer, WIRE, [LINK, 'less 1']);
    const heard: TooBig[] = [];
    const lines: string[] = [];
    let errors: PathErrors | undefined;
    try {
      await peer.hello();
      errors = await inside(
        link.node,
        () => new PathErrors(SOURCES, (reports) => heard.push(...reports), lineLog(lines)),
      );
      await peer.ask({
        send: [
          report4(about4('10.0.9.15')),
          report4(about4('10.0.9.32')),
          report4(about4('10.0.9.17', 17)),
          report4(about4('10.0.9.17'), { code: 1 }),
          report4(about4('10.0.9.17'), { mac: ROUTER_MAC }), // for another machine
          frame({}, ipv4({ src: '10.9.9.9', dst: '10.0.9.17' }), icmpEcho(), payload(64)),
          frame({}, ipv4({ src: '10.9.9.9', dst: '10.0.9.17' }), udp({ sport: 3, dport: 4 }), payload(64)),
          report6(about6('fd00::2')),
          report6(about6('fd00::1'), 1),
          // These are the right ones, and the last.
          report4(about4('10.0.9.16')),
          report4(about4('10.0.9.31'), { to: '10.0.9.31' }),
          report6(about6('fd00::1')),
        ],
      });
      const end = performance.now() + WAIT_MS;
      while (heard.length < 3 && performance.now() < end) await delay(20);
      assert.deepEqual(
        heard.map(({ router, backend, mtu }) => [router.text, backend.text, mtu]),
        [
          ['10.9.9.9', '10.1.0.11', 1400],
          ['10.9.9.9', '10.1.0.11', 1400],
          ['fd00:9::9', 'fd00:1::11', 1400],
        ],
      );
      assert.deepEqual(lines, []);
    } finally {
      errors?.close();
      await peer.close();
      await link.resources.close();
    }
  });
});
