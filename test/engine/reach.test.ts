/** Which interfaces the engines that use XDP can send out of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afXdpUnreachable } from '#anyhop/engine/af_xdp/reach.js';
import { xdpUnreachable } from '#anyhop/engine/xdp/reach.js';
import type { NextHop } from '#anyhop/underlay/next-hop.js';

const OWN = { name: 'eth0', index: 2 };
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
    assert.equal(xdpUnreachable(hop(OWN.index, kind), OWN), undefined);
});

test('out of another card, bond, tap or veth, but not out of a bridge or a macvlan', () => {
  for (const kind of [undefined, 'bond', 'tun', 'veth'])
    assert.equal(xdpUnreachable(hop(OWN.index + 1, kind), OWN), undefined);
  for (const kind of ['bridge', 'macvlan', 'ipvlan', 'vxlan', 'dummy'])
    assert.equal(
      xdpUnreachable(hop(OWN.index + 1, kind), OWN),
      `its next hop is on out, and xdp cannot send out of a ${kind}`,
    );
});

test('an AF_XDP socket sends only out of its own interface', () => {
  assert.equal(afXdpUnreachable(hop(OWN.index, undefined), OWN), undefined);
  assert.equal(
    afXdpUnreachable(hop(OWN.index + 1, undefined), OWN),
    'its next hop is on out, and af_xdp sends only out of eth0',
  );
});
