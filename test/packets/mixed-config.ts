/** The node that the mixed traffic is for, and the words that its two halves share. */

/** Of every path, in bytes, as replay has it. */
export const MTU = 1500;
/** No tshark dissector claims it, so payloads may be anything. */
export const UDP_PORT = 9000;

export const CLIENT4 = '198.51.100.7';
export const CLIENT6 = '2001:db8:c::7';
/** Sends the ICMP errors. */
export const ROUTER4 = '198.51.100.1';
export const ROUTER6 = '2001:db8:c::1';

export const VIP = {
  web4: '203.0.113.10',
  web6: '2001:db8:100::10',
  /** Two pools for UDP, so that a fragment is ambiguous; TCP is hashed without ports. */
  split4: '203.0.113.11',
  split6: '2001:db8:100::11',
  /** Backends with IPv6 addresses. */
  outer6in4: '203.0.113.12',
  outer6in6: '2001:db8:100::12',
} as const;

/** A sentence that names the packet, the verdict it must end in, the frame. */
export type Row = readonly [name: string, verdict: string, frame: Uint8Array];

const service = (name: string, vip: string, rest: string): string =>
  `  - {name: ${name}, vip: "${vip}", ${rest}}`;

export const MIXED_CONFIG = [
  'node:',
  '  name: mixed',
  '  interface: eth0',
  '  source: [10.0.0.1, "2001:db8:1::1"]',
  '  key: 000102030405060708090a0b0c0d0e0f',
  'pools:',
  '  web:',
  '    backends:',
  '      - {name: web-1, address: 10.1.0.11}',
  '      - {name: web-2, address: 10.1.0.12}',
  '      - {name: web-3, address: 10.1.0.13}',
  '  other:',
  '    backends:',
  '      - {name: other-1, address: 10.1.0.21}',
  '  six:',
  '    backends:',
  '      - {name: six-1, address: "2001:db8:2::11"}',
  '      - {name: six-2, address: "2001:db8:2::12"}',
  'services:',
  ...(['4', '6'] as const).flatMap((v) => [
    service(`http-${v}`, VIP[`web${v}`], 'protocol: tcp, port: 80, pool: web'),
    service(`https-${v}`, VIP[`web${v}`], 'protocol: tcp, port: 443, pool: web'),
    service(`udp-${v}`, VIP[`web${v}`], `protocol: udp, port: ${UDP_PORT}, pool: web`),
    service(`split-tcp-${v}`, VIP[`split${v}`], 'protocol: tcp, port: 80, pool: web, hash: 3-tuple'),
    service(`split-a-${v}`, VIP[`split${v}`], 'protocol: udp, port: 9001, pool: web'),
    service(`split-b-${v}`, VIP[`split${v}`], 'protocol: udp, port: 9002, pool: other'),
    service(`six-${v}`, VIP[`outer6in${v}`], 'protocol: tcp, port: "1-65535", pool: six'),
  ]),
  '',
].join('\n');
