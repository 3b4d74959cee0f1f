/** What the xdp engine says when it cannot work, where that can be told without a machine that lacks it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requireXdp } from '#anyhop/engine/xdp/requirements.js';
import { readInterfaceCounters } from '#anyhop/ffi/interface-counters.js';
import { driverRefusal } from '#anyhop/pins/attachment.js';
import { readStatistics } from '#anyhop/underlay/driver-statistics.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { inside } from '../../scripts/native/attached.js';
import { missingForIsolation } from '../isolation.js';

const PLACE = { interface: 'eth0', bpffs: '/sys/fs/bpf' };
const capabilities = (...bits: number[]): string => {
  const mask = bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  return `Name:\tnode\nCapEff:\t${mask.toString(16).padStart(16, '0')}\n`;
};
const [NET_ADMIN, NET_RAW, SYS_ADMIN, PERFMON, BPF] = [12, 13, 21, 38, 39];

describe('the xdp engine refuses', () => {
  const refuses = (system: { kernel?: string; processStatus?: string }, code: string, message: RegExp) =>
    assert.rejects(requireXdp(PLACE, system), (error: { code: string; message: string; hint: string }) => {
      assert.equal(error.code, code);
      assert.match(`${error.message}\n${error.hint}`, message);
      return true;
    });

  it('a kernel without links for XDP', async () => {
    await refuses(
      { kernel: '5.4.0-150-generic' },
      'ERR_BPF',
      /^Linux 5\.4\.0-150-generic .*\n.*needs Linux 5\.9 or later/,
    );
    await refuses({ kernel: '4.19.0' }, 'ERR_BPF', /^Linux 4\.19\.0/);
  });

  it('to run without its capabilities, and names those that are missing', async () => {
    const refusesWith = (bits: number[], names: RegExp) =>
      refuses({ kernel: '6.1.0', processStatus: capabilities(...bits) }, 'ERR_CAPABILITY', names);
    await refusesWith([], /lacks CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON\n.*AmbientCapabilities/);
    await refusesWith([NET_ADMIN, NET_RAW, BPF], /lacks CAP_PERFMON\n/);
    await refusesWith([SYS_ADMIN], /lacks CAP_NET_ADMIN\n/); // it includes the two younger ones
    await refusesWith([PERFMON, BPF], /lacks CAP_NET_ADMIN\n/);
  });
});

describe("a driver's refusal", () => {
  const link = { name: 'eth0', mtu: 9000 };
  const words = (message: string): string =>
    `native XDP: Invalid argument\nlibbpf: Kernel error message: ${message}\n`;

  for (const [message, hint] of [
    ['veth: Peer MTU is too large to set XDP', /MTU is 9000.*ip link set dev eth0 mtu \d+/],
    ['MTU too large for XDP', /ip link set dev eth0 mtu/],
    ["can't set XDP while LRO is on, disable LRO first", /ethtool -K eth0 lro off rx-gro-hw off/],
    ['Cannot set XDP when hw-gro is on', /ethtool -K eth0 lro off rx-gro-hw off/],
    ['something else', /dmesg/],
  ] as const) {
    it(`is told in its own words, with what helps: ${message}`, () => {
      const { message: text, hint: told } = driverRefusal(link, words(message));
      assert.equal(text, `the driver of eth0 refuses XDP: ${message}`);
      assert.match(told ?? '', hint);
    });
  }

  it("is told in the kernel's words where it has none", () => {
    const refusal = driverRefusal(link, 'native XDP: Operation not supported\n');
    assert.equal(refusal.message, 'the driver of eth0 refuses XDP: native XDP: Operation not supported');
    assert.match(refusal.hint ?? '', /generic XDP costs more/);
  });
});

describe("a driver's statistics", () => {
  const read = (text: string) => readStatistics('eth0', () => text);

  it('tell how many packets could not be sent, over all queues and by the names of several drivers', () => {
    const veth = 'rx_queue_0_xdp_tx_errors: 3\nrx_queue_1_xdp_tx_errors: 4\nrx_queue_0_xdp_tx_ok: 99\n';
    assert.deepEqual(read(`missed: 5\n${veth}`), { sendFailed: 7, missed: 5 });
    assert.equal(read('rx_xdp_tx_full: 2\nrx_xdp_tx_err: 1\nrx_xdp_tx_xmit: 50\n').sendFailed, 3);
    assert.equal(read('tx0_xdp_tx_drops: 6\n').sendFailed, 6);
  });

  it('are not a number where a driver does not tell', () => {
    assert.deepEqual(read(''), { sendFailed: Number.NaN, missed: Number.NaN });
  });

  it('are those that ethtool and ip show, read in this process', {
    skip: missingForIsolation('ethtool'),
  }, async () => {
    const resources = new Resources();
    try {
      const namespace = resources.addNamespace('statistics');
      await run(['ip', '-n', namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1']);
      const text = await inside(namespace, () => readInterfaceCounters('eth0', 'xdp_tx_'));
      const shown = await run(inNamespace(namespace, ['ethtool', '-S', 'eth0']));
      const expected = shown.split('\n').flatMap((line) => (line.includes('xdp_tx_') ? [line.trim()] : []));
      assert.ok(expected.length > 0, shown);
      assert.deepEqual(text.trimEnd().split('\n'), ['missed: 0', ...expected]);
      assert.equal(await inside(namespace, () => readInterfaceCounters('eth9', 'xdp_tx_')), '');
    } finally {
      await resources.close();
    }
  });
});
