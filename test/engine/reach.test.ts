/** Which interfaces an XDP program can send out of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdpReaches } from '#anyhop/engine/xdp/reach.js';
import type { NextHop } from '#anyhop/underlay/next-hop.js';

const OWN = 2;
const hop = (interfaceIndex: number, kind: string | undefined): NextHop => ({
  interface: 'out',
  interfaceIndex,
  kind,
  sourceMac: new Uint8Array(6),
  destinationMac: new Uint8Array(6),
  vlan: undefined,
  mtu: 1500,
});

test('back out of the interface that a packet came in on, whatever it is', () => {
  for (const kind of [undefined, 'veth', 'bridge', 'macvlan'])
    assert.equal(xdpReaches(hop(OWN, kind), OWN), true);
});

test('out of another card, bond, tap or veth, but not out of a bridge or a macvlan', () => {
  for (const kind of [undefined, 'bond', 'tun', 'veth'])
    assert.equal(xdpReaches(hop(OWN + 1, kind), OWN), true);
  for (const kind of ['bridge', 'macvlan', 'ipvlan', 'vxlan', 'dummy'])
    assert.equal(xdpReaches(hop(OWN + 1, kind), OWN), false);
});
