/** Whose frames are for the host: its interface's, and those of what lies upon it here, against made-up tables of the kernel. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import type { Logger } from '#anyhop/core/log.js';
import type { RunTool } from '#anyhop/core/tool.js';
import { formatMac } from '#anyhop/packet/mac.js';
import { OwnMacs } from '#anyhop/underlay/own-macs.js';
import { macBytes } from '../packets/layer.js';

const OWN = '02:00:00:00:00:01';

interface Device {
  readonly name: string;
  readonly mac: string;
  readonly kind?: string;
  readonly below?: string;
  readonly master?: string;
}

interface Entry {
  readonly mac: string;
  readonly flags?: readonly string[];
  readonly state?: string;
}

/** A host with these devices beside eth0, and what was logged. */
function hostWith(devices: readonly Device[], entries: readonly Entry[] | string = []) {
  const logged: Record<string, unknown>[] = [];
  const take = (fields: Record<string, unknown>): void => void logged.push(fields);
  const log = { info: take, warn: take } as unknown as Logger;
  const list = [{ name: 'eth0', mac: OWN }, ...devices] as readonly Device[];
  const run: RunTool = async (program) => {
    if (program === 'bridge')
      return typeof entries === 'string'
        ? { code: 1, stdout: '', stderr: entries }
        : { code: 0, stdout: JSON.stringify(entries), stderr: '' };
    const links = list.map(({ name, mac, kind, below, master }, i) => ({
      ifname: name,
      ifindex: i + 1,
      mtu: 1500,
      flags: ['UP', 'LOWER_UP'],
      link_type: 'ether',
      address: mac,
      ...(below && { link: below }),
      ...(master && { master }),
      ...(kind && { linkinfo: { info_kind: kind } }),
    }));
    return { code: 0, stdout: JSON.stringify(links), stderr: '' };
  };
  const macs = new OwnMacs('eth0', macBytes(OWN), log, run);
  return { macs, logged, texts: () => macs.current().map(formatMac) };
}

describe('the MAC addresses of a host on an interface', () => {
  it('are those of macvlans, VLAN devices and bridges upon it, also one upon the other', async () => {
    const { macs, texts } = hostWith([
      { name: 'vrrp', mac: '00:00:5e:00:01:33', kind: 'macvlan', below: 'eth0' },
      { name: 'eth0.5', mac: OWN, kind: 'vlan', below: 'eth0' },
      { name: 'deep', mac: '02:00:00:00:00:05', kind: 'macvlan', below: 'eth0.5' },
    ]);
    assert.equal(await macs.refresh(), true);
    assert.deepEqual(texts(), [OWN, '00:00:5e:00:01:33', '02:00:00:00:00:05']);
    assert.equal(await macs.refresh(), false, 'nothing has changed');

    const port = hostWith([{ name: 'br0', mac: '02:00:00:00:00:0b', kind: 'bridge' }]);
    const links = [
      { name: 'eth0', master: 'br0', mac: OWN },
      { name: 'br0', mac: '02:00:00:00:00:0b', kind: 'bridge' },
      { name: 'other', mac: '02:00:00:00:00:0c', master: 'br0' },
    ].map(({ name, mac, ...rest }) => ({ name, mac: macBytes(mac), ...rest }));
    await port.macs.refresh(new Map(links.map((link) => [link.name, link as never])));
    assert.deepEqual(port.texts(), [OWN, '02:00:00:00:00:0b']);
  });

  it('are not those of virtual machines, of other interfaces, or of the far end of a veth', async () => {
    const { macs, texts } = hostWith([
      { name: 'vm', mac: '02:00:00:00:00:10', kind: 'macvtap', below: 'eth0' },
      { name: 'eth1', mac: '02:00:00:00:00:11' },
      { name: 'mv1', mac: '02:00:00:00:00:12', kind: 'macvlan', below: 'eth1' },
      { name: 'peer', mac: '02:00:00:00:00:13', kind: 'veth', below: 'eth0' },
    ]);
    assert.equal(await macs.refresh(), false);
    assert.deepEqual(texts(), [OWN]);
  });

  it('are further ones of the card, but neither groups nor what a bridge has learned', async () => {
    const { macs, texts } = hostWith(
      [],
      [
        { mac: '00:00:5e:00:01:33', flags: ['self'], state: 'permanent' },
        { mac: '33:33:00:00:00:01', flags: ['self'], state: 'permanent' },
        { mac: '02:00:00:00:00:20', flags: ['master'], state: 'permanent' },
        { mac: '02:00:00:00:00:21', flags: ['self'], state: 'stale' },
      ],
    );
    await macs.refresh();
    assert.deepEqual(texts(), [OWN, '00:00:5e:00:01:33']);
  });

  it('are as many as an image has room for, and the rest is named', async () => {
    const devices = Array.from({ length: 20 }, (_, i) => ({
      name: `v${i}`,
      mac: `00:00:5e:00:01:${(i + 16).toString(16)}`,
      kind: 'macvlan',
      below: 'eth0',
    }));
    const { macs, logged, texts } = hostWith(devices.toReversed());
    await macs.refresh();
    assert.deepEqual(texts(), [OWN, ...devices.slice(0, L.OTHER_MACS_MAX).map(({ mac }) => mac)]);
    assert.deepEqual(
      logged.map(({ event, count }) => [event, count]),
      [
        ['own_mac', undefined],
        ['too_many_macs', 21],
      ],
    );
  });

  it('are known without the program bridge, which is said once', async () => {
    const vrrp = { name: 'vrrp', mac: '00:00:5e:00:01:33', kind: 'macvlan', below: 'eth0' };
    const { macs, logged, texts } = hostWith([vrrp], 'it broke');
    await macs.refresh();
    await macs.refresh();
    assert.deepEqual(texts(), [OWN, vrrp.mac]);
    assert.equal(logged.filter(({ event }) => event === 'macs_unknown').length, 1);
  });
});
