/** What the agent's program refuses, and what it leaves alone: every verdict that is no delivery. */
import { after, before, describe, test } from 'node:test';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import {
  arpRequest,
  destinationOptions,
  fragment,
  frame,
  frameOf,
  gre,
  icmpEcho,
  icmpError,
  icmpv6Echo,
  icmpv6Error,
  ipOption,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  packet,
  payload,
  routing,
  tcp,
  udp,
} from '../packets/build.js';
import {
  CLIENT,
  CLIENT6,
  inner4,
  inner6,
  loadAgent,
  outer4,
  outer6,
  passesUntouched,
  refuses,
  SKIP,
  VIP,
  VIP6,
  wrapped,
  wrappedBytes,
} from './fixture.js';

const web = tcp({ sport: 40000, dport: 80 });
const STRANGER = '192.0.2.66';
const STRANGER6 = '2001:db8:bad::1';

describe('the agent', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent.close());

  test('leaves alone what is not GRE', () => {
    const untouched = [
      arpRequest({ sender: '10.0.0.1', target: '10.1.0.11' }),
      frame({}, outer4(), tcp({ sport: 1, dport: 22 })),
      frame({}, outer6(), destinationOptions(), udp({ sport: 1, dport: 179 })),
      frame({}, inner4(), web),
      frame({}, outer4({ options: ipOption.routerAlert() }), udp({ sport: 1, dport: 2 })),
      frame({ vlans: [1, 2, 3] }, outer4(), tcp({ sport: 1, dport: 22 })),
      frame({ vlans: [{ id: 1, tpid: 0x9100 }] }, outer4(), gre(), inner4(), web),
      frame({ etherType: 0x86dd }, outer4(), gre(), inner4(), web),
      wrapped(inner4(), web).subarray(0, 14 + 19),
      frame({}, outer6(), gre(), inner4(), web).subarray(0, 14 + 39),
    ];
    for (const bytes of untouched) passesUntouched(agent, bytes, 'pass_not_gre');
  });

  test('drops GRE of a stranger for a VIP, whatever the outer destination and the GRE options', () => {
    const strangers = [
      frame({}, outer4({ src: STRANGER }), gre(), inner4(), web),
      frame({}, outer4({ src: STRANGER }), gre(), inner4(), tcp({ sport: 1, dport: 22 })),
      frame({}, outer4({ src: STRANGER, dst: '10.9.9.9' }), gre(), inner4(), web),
      frame({}, outer4({ src: STRANGER }), gre({ key: 1 }), inner6(), web),
      frame({}, outer4({ src: STRANGER }), gre({ key: 1, sequence: 2, withChecksum: true }), inner4(), web),
      frame({}, outer6({ src: STRANGER6 }), gre(), inner6(), web),
      frame({}, outer6({ src: STRANGER6 }), destinationOptions(), gre(), inner4(), web),
      frame({}, outer4({ src: STRANGER, options: ipOption.nop(8) }), gre(), inner4(), web),
    ];
    for (const bytes of strangers) refuses(agent, bytes, 'drop_stranger');
    // Linux takes any number of priority tags off.
    for (const count of [3, 8]) {
      const vlans = Array<number>(count).fill(0);
      refuses(agent, frame({ vlans }, outer4({ src: STRANGER }), gre(), inner4(), web), 'drop_stranger');
    }
    const vlans = Array<number>(9).fill(0);
    refuses(agent, frame({ vlans }, outer4({ src: STRANGER }), gre(), inner4(), web), 'drop_outer_options');
    const [first, second] = ipv4Fragments(
      { src: STRANGER, dst: '10.1.0.11' },
      [gre(), inner4(), web, payload(80)],
      48,
    );
    refuses(agent, frameOf({}, first), 'drop_stranger');
    passesUntouched(agent, frameOf({}, second), 'pass_other_tunnel');
    const [tiny] = ipv4Fragments(
      { src: STRANGER, dst: '10.1.0.11' },
      [gre(), inner4(), web, payload(80)],
      16,
    );
    refuses(agent, frameOf({}, tiny), 'drop_stranger');
  });

  test("leaves the host's own tunnels alone", () => {
    const tunnels = [
      frame({}, outer4({ src: STRANGER }), gre(), ipv4({ src: '10.8.0.1', dst: '10.8.0.2' }), web),
      frame({}, outer6({ src: STRANGER6 }), gre({ key: 7 }), ipv6({ src: 'fd08::1', dst: 'fd08::2' }), web),
      frame({}, outer4({ src: STRANGER }), gre({ etherType: 0x6558 }), payload(60)),
      frame({}, outer4({ src: STRANGER }), gre({ version: 1, etherType: 0x880b }), payload(60)),
    ];
    for (const bytes of tunnels) passesUntouched(agent, bytes, 'pass_other_tunnel');
  });

  test('leaves alone what the fleet sends to another backend', () => {
    passesUntouched(
      agent,
      frame({}, outer4({ dst: '10.1.0.12' }), gre(), inner4(), web),
      'pass_other_destination',
    );
  });

  test('refuses an outer header that no forwarder sends', () => {
    refuses(agent, frame({}, outer4({ checksum: 1 }), gre(), inner4(), web), 'drop_outer_checksum');
    refuses(agent, frame({}, outer4({ totalLength: 2000 }), gre(), inner4(), web), 'drop_outer_length');
    refuses(agent, frame({}, outer4({ totalLength: 23 }), gre(), inner4(), web), 'drop_outer_length');
    refuses(agent, frame({}, outer6({ payloadLength: 2000 }), gre(), inner4(), web), 'drop_outer_length');
    refuses(
      agent,
      frame({}, outer4({ options: ipOption.nop(4) }), gre(), inner4(), web),
      'drop_outer_options',
    );
    refuses(agent, frame({}, outer6(), destinationOptions(), gre(), inner4(), web), 'drop_outer_options');
    const nine = Array.from({ length: 9 }, () => destinationOptions());
    refuses(agent, frame({}, outer6(), ...nine, gre(), inner4(), web), 'drop_outer_options');
    for (const piece of ipv4Fragments({ src: '10.0.0.1', dst: '10.1.0.11' }, [gre(), inner4(), web], 32)) {
      refuses(agent, frameOf({}, piece), 'drop_outer_fragment');
    }
    for (const piece of ipv6Fragments({ src: 'fd00::1', dst: 'fd00:1::11' }, [gre(), inner4(), web], 32)) {
      refuses(agent, frameOf({}, piece), 'drop_outer_fragment');
    }
  });

  test('leaves alone what a routing header takes to another node', () => {
    const onItsWay = routing({ type: 4, segmentsLeft: 1, addresses: ['2001:db8::1'] });
    passesUntouched(agent, frame({}, outer6(), onItsWay, gre(), inner4(), web), 'pass_not_gre');
  });

  test('refuses an inner packet whose headers hide where it goes: source routes, fragments in fragments', () => {
    const onItsWay = routing({ type: 0, segmentsLeft: 1, addresses: ['2001:db8::1'] });
    refuses(agent, wrapped(inner6(), onItsWay, web), 'drop_inner_extension_header');
    const nested = [fragment({ offset: 0, more: true }), fragment({ offset: 1 })];
    refuses(agent, wrapped(inner6(), ...nested, web), 'drop_inner_extension_header');
    const behind = [fragment({ offset: 0, more: true }), destinationOptions()];
    refuses(agent, wrapped(inner6(), ...behind, web), 'drop_inner_extension_header');
  });

  test('refuses GRE that no forwarder sends', () => {
    refuses(agent, frame({}, outer4(), gre({ withChecksum: true }), inner4(), web), 'drop_gre_header');
    refuses(agent, frame({}, outer4(), gre({ sequence: 1 }), inner4(), web), 'drop_gre_header');
    refuses(agent, frame({}, outer4(), gre({ version: 1 }), inner4(), web), 'drop_gre_header');
    refuses(agent, frame({}, outer4(), gre({ etherType: 0x6558 }), inner4(), web), 'drop_gre_header');
    for (const bit of [0x4000, 0x0800, 0x0400]) {
      const bytes = wrapped(inner4(), web);
      new DataView(bytes.buffer).setUint16(34, bit);
      refuses(agent, bytes, 'drop_gre_header');
    }
  });

  test('refuses an inner packet whose lengths do not fit', () => {
    const wrong = [
      wrapped(inner4({ totalLength: 1000 }), web),
      wrapped(inner4({ totalLength: 19 }), web),
      wrapped(inner4({ version: 5 }), web),
      wrapped(inner4({ headerWords: 4 }), web),
      wrapped(inner6({ payloadLength: 1000 }), web),
      frame({}, outer4(), gre({ etherType: 0x86dd }), inner4(), web, payload(100)),
      frame({ padTo: 200 }, outer4(), gre(), inner4({ totalLength: 100 }), web),
      frame({ padTo: 60 }, outer4(), gre({ etherType: 0x0800 })),
    ];
    for (const bytes of wrong) refuses(agent, bytes, 'drop_inner_length');
    const nine = Array.from({ length: 9 }, () => destinationOptions());
    refuses(agent, wrapped(inner6(), ...nine, web), 'drop_inner_extension_header');
    const cut = wrapped(inner6(), destinationOptions({ lengthUnits: 255 }), web);
    refuses(agent, cut, 'drop_inner_extension_header');
  });

  test('refuses what is for no service', () => {
    refuses(agent, wrapped(inner4({ dst: '203.0.113.11' }), web), 'drop_not_vip');
    refuses(agent, wrapped(inner6({ dst: '2001:db8::11' }), web), 'drop_not_vip');
    refuses(agent, wrapped(inner4(), tcp({ sport: 1, dport: 22 })), 'drop_no_service');
    refuses(agent, wrapped(inner4(), udp({ sport: 1, dport: 80 })), 'drop_no_service');
    refuses(
      agent,
      wrapped(inner4({ dst: '203.0.113.20' }), tcp({ sport: 1, dport: 27000 })),
      'drop_no_service',
    );
    refuses(agent, wrapped(inner4(), gre(), inner4(), web), 'drop_protocol');
    refuses(agent, wrapped(inner4({ protocol: 58 }), payload(40)), 'drop_protocol');
    refuses(agent, wrapped(inner6({ nextHeader: 1 }), payload(40)), 'drop_protocol');
    refuses(agent, wrapped(inner4({ protocol: 6 }), payload(19)), 'drop_truncated');
    refuses(agent, wrapped(inner4({ protocol: 17 }), payload(7)), 'drop_truncated');
  });

  test('refuses ICMP that is no error about a flow of a service', () => {
    refuses(agent, wrapped(inner4(), icmpEcho(), payload(8)), 'drop_icmp_type');
    refuses(agent, wrapped(inner6(), icmpv6Echo(), payload(8)), 'drop_icmp_type');
    refuses(agent, wrapped(inner4({ protocol: 1 }), payload(7)), 'drop_truncated');
    const about = (src: string, sport: number): Uint8Array =>
      packet(ipv4({ src, dst: CLIENT }), tcp({ sport, dport: 40000 }), payload(50));
    const redirect = icmpError({ type: 5, about: about(VIP, 80) });
    refuses(agent, wrapped(inner4(), redirect), 'drop_icmp_type');
    const unmatched = [
      about(VIP, 22),
      about('203.0.113.20', 80),
      about('203.0.113.11', 80),
      packet(ipv4({ src: VIP, dst: CLIENT }), icmpEcho({ reply: true })),
      ipv4Fragments({ src: VIP, dst: CLIENT }, [udp({ sport: 53, dport: 4 }), payload(80)], 40)[1],
      about(VIP, 80).subarray(0, 27),
      packet(ipv6({ src: VIP6, dst: CLIENT6 }), tcp({ sport: 80, dport: 40000 })),
    ];
    for (const quoted of unmatched) {
      refuses(
        agent,
        wrapped(inner4(), icmpError({ type: 3, about: quoted, quoteBytes: 60 })),
        'drop_icmp_unmatched',
      );
    }
    const about6 = packet(ipv6({ src: VIP6, dst: CLIENT6 }), fragment({ offset: 9 }), payload(80, 17));
    refuses(agent, wrapped(inner6(), icmpv6Error({ type: 2, about: about6 })), 'drop_icmp_unmatched');
    const error = icmpError({ type: 3, about: about(VIP, 80), quoteBytes: 60 });
    for (const piece of ipv4Fragments({ src: CLIENT, dst: VIP }, [error], 40)) {
      refuses(agent, wrappedBytes(piece), 'drop_icmp_fragment');
    }
  });
});
