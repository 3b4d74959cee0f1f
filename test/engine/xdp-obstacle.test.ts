/** What the xdp engine says when it cannot work, where that can be told without a machine that lacks it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RunTool } from '#anyhop/core/tool.js';
import { prepare } from '#anyhop/engine/xdp/obstacle.js';
import { readStatistics } from '#anyhop/engine/xdp/statistics.js';
import { driverRefusal } from '#anyhop/pins/attachment.js';

const PLACE = { interface: 'eth0', bpffs: '/sys/fs/bpf' };
const capabilities = (...bits: number[]): string => {
  const mask = bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  return `Name:\tnode\nCapEff:\t${mask.toString(16).padStart(16, '0')}\n`;
};
const [NET_ADMIN, NET_RAW, SYS_ADMIN, PERFMON, BPF] = [12, 13, 21, 38, 39];

describe('the xdp engine refuses', () => {
  const refuses = (system: { kernel?: string; processStatus?: string }, code: string, message: RegExp) =>
    assert.rejects(prepare(PLACE, system), (error: { code: string; message: string; hint: string }) => {
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
  const machine =
    (ethtool: string, missed?: number): RunTool =>
    async (program) => {
      if (program === 'ethtool') return { code: ethtool === '' ? 94 : 0, stdout: ethtool, stderr: '' };
      const stats64 = missed === undefined ? undefined : { rx: { missed_errors: missed } };
      return {
        code: 0,
        stdout: JSON.stringify([{ ifname: 'eth0', ...(stats64 && { stats64 }) }]),
        stderr: '',
      };
    };
  const read = (ethtool: string, missed?: number) => readStatistics('eth0', machine(ethtool, missed));

  it('tell how many packets could not be sent, over all queues and by the names of several drivers', async () => {
    const veth =
      '     rx_queue_0_xdp_tx_errors: 3\n     rx_queue_1_xdp_tx_errors: 4\n     rx_queue_0_xdp_tx: 99\n';
    assert.deepEqual(await read(`NIC statistics:\n${veth}`, 5), { sendFailed: 7, missed: 5 });
    const mlx5 = '     rx_xdp_tx_full: 2\n     rx_xdp_tx_err: 1\n     rx_xdp_tx_xmit: 50\n';
    assert.equal((await read(mlx5)).sendFailed, 3);
    assert.equal((await read('     tx0_xdp_tx: 8\n     tx0_xdp_tx_drops: 6\n')).sendFailed, 6);
  });

  it('are not a number where a driver does not tell', async () => {
    assert.deepEqual(await read(''), { sendFailed: Number.NaN, missed: Number.NaN });
  });
});
