/** `anyhop capture` on a node that forwards: what it shows of packets is what became of them, whichever engine decides. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { CounterReport } from '#anyhop/api/api.js';
import type { NodeEngine } from '#anyhop/core/engines.js';
import { readCapture } from '#anyhop/packet/capture.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { ask } from '../api/fake-node.js';
import { answered, CLIENT4, flows, unserved } from '../engine/contract-frames.js';
import { createXdpLink } from '../engine/link.js';
import { sendFrames } from '../engine/send-frames.js';
import { VIP4, VIP6 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, startRun, writeFleet } from './run-fixture.js';

/** On a busy machine; nothing takes it otherwise. */
const WAIT_MS = 30_000;
/** The longest a capture of these tests lasts: one that waits for what never comes ends by it. */
const FOR = ['--for', '25s'];
const FLOWS = 300;
/** With what is answered and what is dropped. */
const EACH = FLOWS + 4 + 3;

const isOurs = (verdict: string): boolean => !verdict.startsWith('pass_');
const sum = (verdicts: CounterReport['verdicts']): number =>
  Object.entries(verdicts).reduce((total, [name, count]) => total + (isOurs(name) ? count : 0), 0);

// Beside one another: what takes the time is the start of programs, and each node has a link of its own.
describe('anyhop capture', { concurrency: true }, () => {
  captures('portable');
  captures('af_xdp');
  captures('xdp');
});

function captures(engine: NodeEngine): void {
  describe(`on a node with the engine ${engine}`, {
    concurrency: 1,
    skip: missingForIsolation('nft', 'ethtool', 'tcpdump', 'tshark'),
    timeout: 4 * WAIT_MS,
  }, () => {
    let link: Awaited<ReturnType<typeof createXdpLink>>;
    let node: LabProcess;
    before(async () => {
      link = await createXdpLink();
      const fleet = writeFleet(link, { node: { engine, bpffs: link.bpffs } });
      const config = JSON.parse(readFileSync(fleet, 'utf8'));
      for (const service of config.services) service.second_chance = 'on';
      writeFileSync(fleet, JSON.stringify(config));
      node = await startRun(link, ['-c', fleet, ...FLAGS]);
    });
    after(() => link?.resources.close());

    const socket = (): string => join(link.resources.directory, 'control.sock');
    const file = (name: string): string => join(link.resources.directory, name);
    const argv = (...args: string[]): string[] => [
      process.execPath,
      MAIN,
      'capture',
      '--socket',
      socket(),
      ...args,
    ];
    const start = async (...args: string[]): Promise<LabProcess> => {
      const capturing = await link.resources.startProcess('capture', link.node, argv(...args, ...FOR));
      await capturing.waitForLine((line) => line.includes('capturing:'), 'capture', WAIT_MS);
      return capturing;
    };
    const counted = async (): Promise<CounterReport> => (await ask(socket(), '/counters')).json;
    const shark = async (name: string, ...fields: string[]): Promise<string[][]> => {
      const text = await link.onNode(
        'tshark',
        '-r',
        file(name),
        '-T',
        'fields',
        ...fields.flatMap((field) => ['-e', field]),
      );
      return text
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t'));
    };

    it('shows every packet as it came and as it left, counts as the node does, and loses nothing', async () => {
      const was = (await counted()).verdicts;
      const capturing = await start('not verdict pass_*', '-w', file('all.pcapng'));
      const sent = flows(2);
      for (let i = 0; i < 2; i++) await sendFrames(link, [...flows(FLOWS), ...answered(), ...unserved()]);
      const end = performance.now() + WAIT_MS;
      let now = was;
      while (sum(now) - sum(was) < 2 * EACH) {
        assert.ok(performance.now() < end, 'all packets arrive');
        now = (await counted()).verdicts;
      }
      process.kill(capturing.pid, 'SIGINT');
      assert.deepEqual(await capturing.exited, { code: 0, signal: null }, capturing.tail());
      const summary = capturing.lines.find((line) => line.includes('packets in'))!;
      for (const [name, count] of Object.entries(now))
        if (isOurs(name) && count > was[name])
          assert.ok(summary.includes(`${name} ${count - was[name]}`), `${name}: ${summary}`);
      assert.match(summary, new RegExp(`${2 * EACH} packets in .*; none lost`));
      assert.equal(statSync(file('all.pcapng')).mode & 0o777, 0o600);

      const packets = await shark(
        'all.pcapng',
        'frame.packet_id',
        'frame.interface_name',
        'frame.comment',
        'tcp.srcport',
        'gre.proto',
        'ip.dst',
      );
      const [ins, outs] = ['eth0 in', 'eth0 out'].map((name) => packets.filter(([, from]) => from === name));
      assert.equal(ins.length, 2 * EACH);
      assert.equal(new Set(ins.map(([id]) => id)).size, ins.length, 'each packet has an id of its own');
      const before = new Map(ins.map((packet) => [packet[0], packet]));
      assert.equal(
        outs.filter(([, , comment]) => comment.startsWith('forwarded')).length,
        now['forwarded'] - was['forwarded'],
      );
      for (const [id, , comment, , gre] of outs) {
        assert.equal(before.get(id)?.[2], comment);
        assert.equal(gre !== '', comment.startsWith('forwarded'));
      }
      for (const [, , comment, port] of ins
        .filter(([, , text, , , to]) => text.startsWith('forwarded') && to === VIP4)
        .slice(0, 5)) {
        const query = new URLSearchParams({
          protocol: 'tcp',
          source: `${CLIENT4}:${port}`,
          destination: `${VIP4}:80`,
        });
        const { answer } = (await ask(socket(), `/which?${query}`)).json;
        const [other] = answer.key.backends;
        assert.match(
          comment,
          new RegExp(
            `^forwarded web-12 slot ${answer.slot} -> ${answer.owner} \\(alternate ${other}\\) generation \\d+$`,
          ),
        );
      }
      assert.match(
        ins.find(([, , comment]) => comment.startsWith('drop_no'))![2],
        /for a VIP, but for none of its services/,
      );

      const frames = [...readCapture(file('all.pcapng'))].map(({ frame }) =>
        Buffer.from(frame).toString('hex'),
      );
      for (const frame of sent)
        assert.ok(frames.includes(Buffer.from(frame).toString('hex')), 'as it came, to the byte');
    });

    it('prints what a filter names, ends by itself, and leaves a file alone that is there', async () => {
      const capturing = await start(`vip ${VIP4},${VIP6} and verdict drop_*`, '--count', '3');
      await sendFrames(link, [...flows(50), ...answered(), ...unserved()]);
      assert.deepEqual(await capturing.exited, { code: 0, signal: null }, capturing.tail());
      assert.match(capturing.tail(), /3 packets in .* m?s: drop_no_service 2, drop_ttl_expired 1; none lost/);
      const shown = capturing.lines.filter((line) => line.includes(' -> drop_'));
      assert.match(
        shown[0],
        /^\d\d:\d\d:\d\d\.\d{6} 198\.51\.100\.7:5000 > 203\.0\.113\.10:81 tcp \. 64 -> drop_no_service generation \d+/,
      );
      const there = readFileSync(file('all.pcapng'));
      const refused = await link.resources.startProcess('refused', link.node, argv('-w', file('all.pcapng')));
      assert.equal((await refused.exited).code, 2);
      assert.match(refused.tail(), /is there already/);
      assert.ok(readFileSync(file('all.pcapng')).equals(there));
    });

    it('is for one at a time, and one that is killed makes room', async () => {
      const first = await start('vip 192.0.2.1');
      assert.match(first.tail(), /192\.0\.2\.1 is no VIP here/);
      const refused = await link.resources.startProcess('second', link.node, argv(...FOR));
      assert.equal((await refused.exited).code, 1);
      assert.match(refused.tail(), /captures here already|another capture/);
      process.kill(first.pid, 'SIGKILL');
      await first.exited;
      const end = performance.now() + WAIT_MS;
      for (;;) {
        const next = await link.resources.startProcess('next', link.node, argv('--for', '1ms'));
        if ((await next.exited).code === 0) break;
        assert.ok(performance.now() < end, next.tail());
      }
    });

    if (engine === 'portable') {
      it('prints objects of JSON', async () => {
        const json = await start('backend web-0 and verdict forwarded', '--json', '--count', '3');
        await sendFrames(link, flows(100));
        await json.exited;
        const [first] = json.events as unknown as Record<string, unknown>[];
        const { verdict, pool, backend, protocol, alternates } = first;
        assert.deepEqual(
          [verdict, pool, backend, protocol, alternates],
          ['forwarded', 'web', 'web-0', 'tcp', ['web-1']],
        );
      });

      it('can be piped to tcpdump, and ends when nobody reads any more', async () => {
        const piped = await link.resources.startProcess('pipe', link.node, [
          'sh',
          '-c',
          '"$@" | tcpdump -nlr - -c 15 2>&1',
          'sh',
          ...argv('tcp and verdict forwarded', '-w', '-', ...FOR),
        ]);
        await piped.waitForLine((line) => line.includes('capturing:'), 'capture', WAIT_MS);
        await sendFrames(link, flows(10));
        await piped.waitForLine((line) => line.includes('GRE'), 'packet, while the capture goes on', WAIT_MS);
        await sendFrames(link, flows(10));
        const end = performance.now() + WAIT_MS;
        while (piped.running && performance.now() < end) await sendFrames(link, flows(10));
        assert.equal((await piped.exited).code, 0, piped.tail());
        assert.equal(piped.lines.filter((line) => line.includes('GRE')).length, 7, piped.tail());
        assert.match(piped.tail(), /packets in .* m?s/);
      });
    }

    it('leaves the node as it was', async () => {
      const before = (await counted()).verdicts['forwarded'];
      await sendFrames(link, flows(20));
      const end = performance.now() + WAIT_MS;
      while ((await counted()).verdicts['forwarded'] < before + 20) assert.ok(performance.now() < end);
      assert.deepEqual(await node.stop(), { code: 0, signal: null }, node.tail());
      assert.ok(!node.events.some(({ event }) => event === 'control_fault'), node.tail());
      const times = (name: string): number => node.events.filter(({ event }) => event === name).length;
      assert.equal(times('capture_started') > 3, engine !== 'xdp', node.tail());
      assert.equal(times('capture_ended'), times('capture_started'));
    });

    if (engine === 'xdp') {
      it('captures what forwards on when no process is left', async () => {
        const place = ['--interface', 'eth0', '--bpffs', link.bpffs];
        const capturing = await link.resources.startProcess('capture', link.node, [
          process.execPath,
          MAIN,
          'capture',
          ...place,
          'service web-12',
          '--count',
          '5',
          ...FOR,
        ]);
        await capturing.waitForLine((line) => line.includes('capturing:'), 'capture', WAIT_MS);
        await sendFrames(link, flows(10));
        assert.deepEqual(await capturing.exited, { code: 0, signal: null }, capturing.tail());
        assert.match(capturing.tail(), /5 packets in .* m?s: forwarded 5; none lost/);
      });
    }
  });
}
