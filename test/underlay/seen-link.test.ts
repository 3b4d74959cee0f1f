/** What `ip monitor` says of interfaces: a link that goes down is known before anything is read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Link } from '#anyhop/underlay/link.js';
import { seenLink, withSeen } from '#anyhop/underlay/seen-link.js';

const link = (name: string, index: number, change: Partial<Link> = {}): Link => ({
  name,
  index,
  mtu: 1500,
  isUp: true,
  hasCarrier: true,
  type: 'ether',
  mac: new Uint8Array(6),
  kind: undefined,
  vlan: undefined,
  ...change,
});
const LINKS = new Map([link('eth0', 2), link('eth1', 3)].map((one) => [one.name, one]));
const UP = { isUp: true, hasCarrier: true };

describe('a line of ip monitor about a link', () => {
  it('says whether it is up and has a carrier', () => {
    for (const [text, wanted] of [
      [
        '2: eth0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group default ',
        { isUp: false, hasCarrier: false },
      ],
      [
        '2: eth0@if7: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 xdp/id:9 ',
        { isUp: true, hasCarrier: false },
      ],
      ['2: eth0.7@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 ', UP],
    ] as const)
      assert.deepEqual(seenLink(`[LINK]${text}`), { index: 2, ...wanted }, text);
  });

  it('says nothing of the end of a link, which may be that of a port of a bridge, and of other things', () => {
    for (const line of [
      '[LINK]Deleted 2: eth0: <BROADCAST,MULTICAST> mtu 1500 master br0 ',
      '    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff',
      '[NEIGH]10.0.0.2 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE',
      '[ADDR]2: eth0    inet 10.0.0.1/24 scope global eth0',
    ])
      assert.equal(seenLink(line), undefined, line);
  });
});

describe('links as they were read, with what was said since', () => {
  it('have gone down, and no other is touched', () => {
    const after = withSeen(LINKS, [{ index: 3, isUp: false, hasCarrier: false }]);
    assert.deepEqual(
      [...after.values()],
      [link('eth0', 2), link('eth1', 3, { isUp: false, hasCarrier: false })],
    );
    assert.equal(LINKS.get('eth1')?.isUp, true);
  });

  it('are the same object when none has gone down', () => {
    assert.equal(withSeen(LINKS, [{ index: 2, ...UP }]), LINKS);
    assert.equal(withSeen(LINKS, [{ index: 9, isUp: false, hasCarrier: false }]), LINKS);
    const down = new Map([['eth0', link('eth0', 2, { isUp: false })]]);
    assert.equal(withSeen(down, [{ index: 2, ...UP }]), down, 'routes are read before it is of use again');
  });

  it('go by what was said last', () => {
    const seen = [{ index: 2, isUp: false, hasCarrier: false }];
    assert.equal(withSeen(LINKS, [...seen, { index: 2, ...UP }]), LINKS);
  });
});
