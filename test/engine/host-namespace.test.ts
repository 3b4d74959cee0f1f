/**
 * Guarding the host, for real: two namespaces, a veth pair, libpcap on one end and a UDP socket behind it. The VIPs are
 * added to the host after the guard has checked that they are not there, so that only the filter can keep packets out.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CaptureWriter } from '#anyhop/packet/capture.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { killIfThere } from '../../scripts/lab/names.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';
import { frame, ipv4, ipv6, payload, udp } from '../packets/build.js';
import { hostsDiscovery, nearlyDiscovery } from '../packets/neighbour.js';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const WAIT_MS = 10_000;
/** After the last packet that must arrive: time for one that must not. */
const SILENCE_MS = 200;
const NODE_MAC = '02:00:00:00:00:01';
const OWN = { 4: '10.0.0.1', 6: 'fd00::1' } as const;
const VIP = { 4: '203.0.113.10', 6: '2001:db8:100::10' } as const;
/** Source ports by which datagrams are told apart. */
const PORT = {
  own4: 40001,
  own6: 40002,
  vip4: 40003,
  vip6: 40004,
  tagged: 40005,
  twice4: 40006,
  twice6: 40007,
  priority4: 40008,
  priority6: 40009,
  deep4: 40010,
  deep6: 40011,
  deeper: 40012,
  broadcast: 40013,
  multicast: 40014,
  other: 40015,
} as const;
/** How many of them are in frames for another machine. */
const ELSEWHERE = 1;

/** What a new veth interface has on that does not go with libpcap, and GRO. */
const OFF =
  'tx-tcp-segmentation tx-tcp-ecn-segmentation tx-tcp-mangleid-segmentation tx-tcp6-segmentation gso gro';

describe('the host is guarded', { skip: missingForIsolation('nft', 'ethtool') }, () => {
  test('packets for a VIP are seen by libpcap and not by the host, and everything is restored', async () => {
    await withBench(async (bench) => {
      const guard = await bench.start();
      assert.equal(await guarded(guard), `guarded, off: ${OFF}, fresh`);
      assert.equal(await bench.gro(), 'off');
      await bench.addVips();

      await bench.send();
      for (const port of [PORT.vip4, PORT.vip6, PORT.tagged, PORT.own4, PORT.own6])
        await line(guard, `seen ${port}`);
      await line(guard, `got ${PORT.own4}`);
      await line(guard, `got ${PORT.own6}`);
      await delay(SILENCE_MS);
      assert.deepEqual(received(guard), [PORT.own4, PORT.own6]);
      // The tagged ones count as well.
      assert.deepEqual(await bench.droppedPackets(), [Object.keys(PORT).length - 2 - ELSEWHERE, ELSEWHERE]);

      process.kill(guard.pid, 'SIGUSR2');
      await line(guard, 'released');
      assert.equal(await bench.gro(), 'on');
      assert.equal(await bench.onNode('nft', 'list', 'ruleset'), '');
      await bench.send();
      await line(guard, `got ${PORT.vip4}`);
      await line(guard, `got ${PORT.vip6}`);
      // What they would reach without the guard, but for the frame for another machine, and the tag of a VLAN that is not here.
      const reached = Object.values(PORT).filter((port) => port !== PORT.other && port !== PORT.tagged);
      for (const port of reached) await line(guard, `got ${port}`);
    });
  });

  test('neighbour discovery for a VIP reaches the host, and what only looks like it does not', async () => {
    await withBench(async (bench) => {
      await guarded(await bench.start());
      await bench.addVips();
      const [good, bad] = [hostsDiscovery(VIP[6]), nearlyDiscovery(VIP[6])];
      await bench.inject([...good, ...bad].map(({ frame }) => frame));
      const solicitations = good.filter(({ frame }) => isSolicitation(frame)).length;
      const deadline = performance.now() + WAIT_MS;
      while ((await bench.solicited()) < solicitations && performance.now() < deadline)
        await delay(SILENCE_MS / 4);
      await delay(SILENCE_MS);
      assert.equal(await bench.solicited(), solicitations);
      assert.deepEqual(await bench.droppedPackets(), [bad.length, 0]);
    });
  });

  test('what a killed process leaves goes on guarding, and the next one cleans up', async () => {
    await withBench(async (bench) => {
      const killed = await bench.start();
      await guarded(killed);
      killed.kill();
      await killed.exited;
      assert.notEqual(await bench.onNode('nft', 'list', 'ruleset'), '');
      assert.equal(await bench.gro(), 'off');

      const next = await bench.start();
      assert.equal(await guarded(next), `guarded, off: ${OFF}, stale`);
      assert.deepEqual(await bench.droppedPackets(), [0, 0], 'there must be one table');
      assert.deepEqual(await next.stop(), { code: 0, signal: null });
      assert.equal(await bench.gro(), 'on');
      assert.equal(await bench.onNode('nft', 'list', 'ruleset'), '');
    });
  });

  test('a second process on the interface is refused and does the first no harm', async () => {
    await withBench(async (bench) => {
      const first = await bench.start();
      await guarded(first);
      const second = await bench.start();
      await line(second, 'another "anyhop run" runs on interface eth0');
      assert.deepEqual(await second.exited, { code: 1, signal: null });
      await bench.addVips();
      await bench.send();
      await line(first, `got ${PORT.own6}`);
      await delay(SILENCE_MS);
      assert.deepEqual(received(first), [PORT.own4, PORT.own6]);
    });
  });
});

interface Bench {
  /** Runs a command on the node. */
  onNode(...argv: string[]): Promise<string>;
  start(): Promise<LabProcess>;
  addVips(): Promise<void>;
  /** One datagram for each of PORT. */
  send(): Promise<void>;
  inject(frames: readonly Uint8Array[]): Promise<void>;
  /** Neighbour solicitations that the host has received. */
  solicited(): Promise<number>;
  gro(): Promise<string>;
  /** Packets that the filter has dropped: that arrived, and in frames for another machine. */
  droppedPackets(): Promise<number[]>;
}

async function withBench(work: (bench: Bench) => Promise<void>): Promise<void> {
  const resources = new Resources();
  const started: LabProcess[] = [];
  try {
    const node = resources.addNamespace('node');
    const client = resources.addNamespace('client');
    const onNode = (...argv: string[]): Promise<string> => run(inNamespace(node, argv));
    const ip = (namespace: string, ...commands: string[]): Promise<string> =>
      run(inNamespace(namespace, ['ip', '-batch', '-']), { input: `${commands.join('\n')}\n` });
    await ip(
      node,
      'link set lo up',
      `link add eth0 address ${NODE_MAC} type veth peer name eth0 netns ${client}`,
      `addr add ${OWN[4]}/24 dev eth0`,
      `addr add ${OWN[6]}/64 dev eth0 nodad`,
      'link set eth0 up',
    );
    await ip(client, 'link set eth0 up');
    await onNode('ethtool', '-K', 'eth0', 'gro', 'on');
    const datagrams = join(resources.directory, 'datagrams.pcap');
    writeDatagrams(datagrams);
    const inject = async (path: string, frames: number): Promise<void> => {
      const argv = [process.execPath, here('../packets/inject.js'), 'eth0', path];
      const { sent } = JSON.parse(await run(inNamespace(client, argv)));
      assert.equal(sent, frames);
    };
    await work({
      onNode,
      async start() {
        const argv = [process.execPath, here('guard-process.js'), 'eth0', VIP[4], VIP[6]];
        started.push(await resources.startProcess('guard', node, argv));
        return started.at(-1)!;
      },
      async addVips() {
        await ip(node, `addr add ${VIP[4]}/32 dev lo`, `addr add ${VIP[6]}/128 dev lo nodad`);
      },
      send: () => inject(datagrams, Object.keys(PORT).length),
      async inject(frames) {
        const path = join(resources.directory, 'frames.pcap');
        const writer = new CaptureWriter(path);
        for (const bytes of frames) writer.write(bytes, 0n);
        writer.close();
        await inject(path, frames.length);
      },
      async solicited() {
        const counters = await onNode('cat', '/proc/net/snmp6');
        return Number(/^Icmp6InNeighborSolicits\s+(\d+)$/m.exec(counters)![1]);
      },
      async gro() {
        return /generic-receive-offload: (\w+)/.exec(await onNode('ethtool', '-k', 'eth0'))![1];
      },
      async droppedPackets() {
        const ruleset = await onNode('nft', 'list', 'ruleset');
        return Array.from(ruleset.matchAll(/^\t\tpackets (\d+)/gm), ([, packets]) => Number(packets));
      },
    });
  } finally {
    for (const { pid, running } of started) if (running) killIfThere(pid);
    await resources.close();
  }
}

/** Behind any tags, as the last layer of it has 24 bytes. */
function isSolicitation(bytes: Uint8Array): boolean {
  return bytes.at(-24) === 135;
}

function writeDatagrams(path: string): void {
  const writer = new CaptureWriter(path);
  const write = (sport: number, dst: string, vlans: number[] = [], mac = NODE_MAC): void => {
    const ip = dst.includes(':') ? ipv6({ src: 'fd00::2', dst }) : ipv4({ src: '10.0.0.2', dst });
    writer.write(frame({ dst: mac, vlans }, ip, udp({ sport, dport: 9000 }), payload(10)), 0n);
  };
  write(PORT.vip4, VIP[4]);
  write(PORT.vip6, VIP[6]);
  write(PORT.tagged, VIP[4], [10]);
  write(PORT.twice4, VIP[4], [0, 0]);
  write(PORT.twice6, VIP[6], [0, 0]);
  write(PORT.priority4, VIP[4], [0, 0, 0]);
  write(PORT.priority6, VIP[6], [0, 0, 0]);
  write(PORT.deep4, VIP[4], Array(8).fill(0));
  write(PORT.deep6, VIP[6], Array(8).fill(0));
  write(PORT.deeper, VIP[4], Array(9).fill(0));
  write(PORT.broadcast, VIP[4], [], 'ff:ff:ff:ff:ff:ff');
  write(PORT.multicast, VIP[6], [], '33:33:00:00:00:01');
  write(PORT.other, VIP[4], [], '02:00:00:00:00:77');
  write(PORT.own4, OWN[4]);
  write(PORT.own6, OWN[6]);
  writer.close();
}

function guarded(guard: LabProcess): Promise<string> {
  return guard.waitForLine((text) => text.startsWith('guarded'), 'guard', WAIT_MS);
}

function line(guard: LabProcess, wanted: string): Promise<string> {
  return guard.waitForLine((text) => text === wanted, `line "${wanted}"`, WAIT_MS);
}

/** Source ports of the datagrams that reached the socket, in order. */
function received(guard: LabProcess): number[] {
  return guard.lines.filter((text) => text.startsWith('got ')).map((text) => Number(text.slice(4)));
}
