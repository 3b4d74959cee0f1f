/** Templates, compared with headers from the packet builders, and the ways for which there is none. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { type IpAddress, parseAddress } from '#anyhop/packet/address.js';
import type { BackendPath } from '#anyhop/packet/path.js';
import { outerHeaderSum, writeTemplate } from '#anyhop/packet/template.js';
import { frame, gre, ipv4, ipv6 } from './build.js';
import { checksum } from './layer.js';

const SOURCE4 = parseAddress('10.0.0.1')!;
const SOURCE6 = parseAddress('fd00::1')!;
const MAC = { dst: '06:11:22:33:44:55', src: '0a:66:77:88:99:aa' };

function path(address: string, change: Partial<BackendPath> = {}): BackendPath {
  return {
    isReachable: true,
    name: 'web/b0',
    address: parseAddress(address)!,
    agent: true,
    id: 1,
    mtu: 1500,
    interfaceIndex: 0,
    sourceMac: Uint8Array.of(0x0a, 0x66, 0x77, 0x88, 0x99, 0xaa),
    destinationMac: Uint8Array.of(0x06, 0x11, 0x22, 0x33, 0x44, 0x55),
    vlan: undefined,
    counter: 0,
    ...change,
  };
}

/** Written behind some other bytes: a template begins anywhere in an image. */
const START = L.TEMPLATE_SIZE;

function write(to: BackendPath, source4: IpAddress | undefined, source6: IpAddress | undefined) {
  const memory = new Uint8Array(START + L.TEMPLATE_SIZE);
  const view = new DataView(memory.buffer);
  const l2Length = writeTemplate(memory, view, START, to, source4, source6);
  return { template: memory.subarray(START), view, l2Length };
}

describe('a template', () => {
  for (const vlan of [undefined, 1, 4094]) {
    const vlans = vlan === undefined ? [] : [vlan];
    it(`is the outer frame with lengths, checksum and GRE left zero, with VLAN ${vlan ?? 'none'}`, () => {
      for (const [address, outer] of [
        ['10.1.0.11', ipv4({ src: '10.0.0.1', dst: '10.1.0.11', df: true, totalLength: 0, checksum: 0 })],
        ['fd00:1::11', ipv6({ src: 'fd00::1', dst: 'fd00:1::11', payloadLength: 0 })],
      ] as const) {
        const expected = new Uint8Array(L.TEMPLATE_SIZE);
        expected.set(frame({ ...MAC, vlans }, outer, gre({ etherType: 0 })));
        const { template, l2Length } = write(path(address, { vlan }), SOURCE4, SOURCE6);
        assert.equal(l2Length, 14 + 4 * vlans.length);
        assert.deepEqual(template, expected);
      }
    });
  }

  it('of an IPv4 way has the sum that its header’s checksum starts from, also where it folds twice', () => {
    for (const [source, destination] of [
      ['10.0.0.1', '10.1.0.11'],
      ['255.255.255.255', '255.255.255.255'],
      ['255.255.58.209', '0.0.0.0'], // 0x1ffff, and 0x10000 after one fold
      ['0.0.0.0', '0.0.0.0'],
    ]) {
      const { template, view, l2Length } = write(path(destination), parseAddress(source), undefined);
      const sum = outerHeaderSum(view, START + l2Length);
      assert.equal(0xffff - sum, checksum(template.subarray(l2Length, l2Length + 20)));
    }
  });

  it('is refused for an MTU below the minimum, and written for the minimum itself', () => {
    const withMtu = (mtu: number) => write(path('10.1.0.11', { mtu }), SOURCE4, SOURCE6).l2Length;
    assert.throws(() => withMtu(L.PATH_MTU_MIN - 1), /web\/b0.*599.*600/);
    assert.equal(withMtu(L.PATH_MTU_MIN), 14);
  });

  it('is refused without an outer source of the backend’s family', () => {
    assert.throws(() => write(path('10.1.0.11'), undefined, SOURCE6), /web\/b0.*family 4/);
    assert.throws(() => write(path('fd00:1::11'), SOURCE4, undefined), /web\/b0.*family 6/);
    assert.equal(write(path('10.1.0.11'), SOURCE4, undefined).l2Length, 14);
    assert.equal(write(path('fd00:1::11'), undefined, SOURCE6).l2Length, 14);
  });
});
