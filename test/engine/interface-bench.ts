/** An engine on a veth pair between two namespaces, in a process of its own; a second process is the wire. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineName } from '#anyhop/engine/contract.js';
import type { Image } from '#anyhop/image/read.js';
import { CaptureWriter } from '#anyhop/packet/capture.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { VIP4, VIP6 } from '../forward/fixture.js';
import { NODE_MAC } from '../packets/build.js';
import type { EngineUnderTest, InterfaceBench, Outcome, Step } from './contract.js';
import { expected, isForVip, PASSED } from './contract-frames.js';
import type { EngineRequest } from './engine-process.js';
import { createLink, here, LINK, letXdpArrive, NODE4, NODE6 } from './link.js';
import { Peer } from './peer.js';
import type { WireRequest } from './wire-process.js';

/** What an engine sends: tunnelled packets, and answers from a VIP. */
const OUTPUTS = `ether src ${NODE_MAC} and (ip proto 47 or ip6 proto 47 or src host ${VIP4} or src host ${VIP6})`;
const THROUGH_TIMEOUT_MS = 5000;
/** After the last packet that must come: time for one that must not. */
const SILENCE_MS = 50;
const ETHERNET_BYTES = 14;
const FLOOD_RATE = 1e9;

type Counted = Omit<Outcome, 'outputs'>;
type SendStep = Extract<Step, { readonly send: unknown }>;

/** What the bench must know of an engine. */
export interface InterfaceEngine {
  readonly name: EngineName;
  readonly sends: EngineUnderTest['sends'];
  /** Loaded before a program, it makes the engine's start fail behind the point where the host has been changed. */
  readonly broken: string;
  /**
   * What it takes for a flood to be too much: nothing; that the process is halted meanwhile; or it cannot be, since the kernel
   * forwards by itself.
   */
  readonly flood: 'is too much' | 'meets a halted process' | 'is taken';
}

export async function openInterfaceBench(under: InterfaceEngine): Promise<InterfaceBench> {
  const { name, sends } = under;
  const link = await createLink();
  const bpffs = name === 'xdp' ? link.resources.bpffs() : undefined;
  const peers: { close(): Promise<void> }[] = [];
  const open = <T extends object>(
    namespace: string,
    script: string,
    args: string[],
    env?: NodeJS.ProcessEnv,
  ): Peer<T> => {
    const peer = new Peer<T>(namespace, here(script), args, env);
    peers.push(peer);
    return peer;
  };
  const openEngine = (env?: NodeJS.ProcessEnv): Peer<EngineRequest> =>
    open(link.node, 'engine-process.js', [name, LINK, ...(bpffs === undefined ? [] : [bpffs])], env);
  const close = async (): Promise<void> => {
    await Promise.all(peers.map((peer) => peer.close()));
    await link.resources.close();
  };
  try {
    if (name === 'xdp') await letXdpArrive(link);
    const wire = open<WireRequest>(link.peer, 'wire-process.js', [LINK, OUTPUTS]);
    assert.equal(await wire.hello(), 'ready');
    const engine = openEngine();
    const allCounters = async (ask: 'counters' | 'stop'): Promise<Counted> =>
      (await engine.ask({ ask })) as Counted;
    const counters = async (ask: 'counters' | 'stop'): Promise<Counted> => {
      const counted = await allCounters(ask);
      const verdicts = Object.entries(counted.verdicts).filter(([verdict]) => !PASSED.has(verdict));
      return { ...counted, verdicts: Object.fromEntries(verdicts) };
    };
    /** Frames that the driver has handed to the node's XDP program so far, less those for no VIP. */
    const handedOver = async (): Promise<number> => {
      const statistics = await link.onNode('ethtool', '-S', LINK);
      const { verdicts } = await allCounters('counters');
      let count = 0;
      for (const [, packets] of statistics.matchAll(/rx_queue_\d+_xdp_packets: (\d+)/g))
        count += Number(packets);
      for (const verdict of PASSED) count -= verdicts[verdict] ?? 0;
      return count;
    };
    const take = async (count: number, milliseconds: number): Promise<Uint8Array[]> => {
      const frames = (await wire.ask({ take: count, milliseconds })) as Uint8Array[];
      return sends === 'frame' ? frames : frames.map((bytes) => bytes.subarray(ETHERNET_BYTES));
    };
    const start = async (image: Image, lists?: Uint8Array): Promise<void> => {
      await engine.ask({ ask: 'start', image: image.bytes, ...(lists && { lists }) });
    };
    const stop = async (): Promise<Outcome> => {
      const counted = await counters('stop');
      return { ...counted, tried: [], outputs: await take(Number.POSITIVE_INFINITY, SILENCE_MS) };
    };
    /** Sends; with an image to publish midway, the engine waits for half of what it will get. */
    const send = async (image: Image, step: SendStep, before: number): Promise<number> => {
      const arriving = step.send.filter((bytes) => isForVip(image, bytes)).length;
      const sent = wire.ask({ send: step.send });
      if (step.publishMidway !== undefined) {
        await engine.ask({
          ask: 'publish',
          image: step.publishMidway.bytes,
          afterPackets: before + (arriving >> 1),
        });
      }
      await sent;
      const end = performance.now() + THROUGH_TIMEOUT_MS;
      while ((await counters('counters')).engine.received < before + arriving) {
        if (performance.now() > end) throw new Error(`not all of ${arriving} packets arrived`);
        await delay(5);
      }
      return arriving;
    };
    return {
      async run(image, steps, first) {
        await start(image, first);
        const outputs: Uint8Array[] = [];
        const tried: (Uint8Array | null)[] = [];
        let received = 0;
        let live = image;
        let lists = first ?? null;
        try {
          for (const step of steps) {
            if ('publish' in step) {
              await engine.ask({ ask: 'publish', image: step.publish.bytes, afterPackets: 0 });
              live = step.publish;
            } else if ('lists' in step) {
              await engine.ask({ ask: 'lists', lists: step.lists });
              lists = step.lists;
            } else if ('startAgain' in step) await start(step.startAgain);
            else if ('try' in step) {
              for (const bytes of step.try)
                tried.push((await engine.ask({ ask: 'try', frame: bytes })) as Uint8Array | null);
            } else {
              received += await send(live, step, received);
              const wanted = expected({ sends, onInterface: true }, live, step.send, lists).outputs.length;
              outputs.push(...(await take(wanted, THROUGH_TIMEOUT_MS)));
            }
          }
        } catch (error) {
          await stop();
          throw error;
        }
        const rest = await stop();
        return { ...rest, tried, outputs: [...outputs, ...rest.outputs] };
      },
      start,
      stop,
      async flood(frames, milliseconds) {
        const file = join(link.resources.directory, 'flood.pcap');
        const writer = new CaptureWriter(file);
        for (const bytes of frames) writer.write(bytes, 0n);
        writer.close();
        const inject = (rounds: number): Promise<string> =>
          run(
            inNamespace(link.peer, [
              process.execPath,
              here('../packets/inject.js'),
              LINK,
              file,
              String(FLOOD_RATE),
              String(rounds),
            ]),
            { timeoutMs: 60_000 },
          );
        const before = under.flood === 'is taken' ? await handedOver() : 0;
        const trial = JSON.parse(await inject(20));
        const rounds = Math.ceil((20 * milliseconds) / 1000 / trial.seconds);
        if (under.flood === 'meets a halted process') engine.halt();
        const { sent } = JSON.parse(await inject(rounds));
        engine.resume();
        await delay(SILENCE_MS);
        // What the veth's own ring refuses is lost on the sender's side, and has not arrived.
        if (under.flood === 'is taken') return (await handedOver()) - before;
        return trial.sent + sent;
      },
      async requireHostWorks() {
        await link.onPeer('ip', 'neigh', 'flush', 'dev', LINK);
        await link.onPeer('ping', '-c', '1', '-W', '2', NODE4);
        await link.onPeer('ping', '-c', '1', '-W', '2', NODE6);
        for (const protocol of ['tcp', 'udp']) {
          for (const address of [NODE4, NODE6]) {
            const server = await link.resources.startProcess(`${protocol} server`, link.node, [
              process.execPath,
              here('echo-process.js'),
              protocol,
              'serve',
              address,
            ]);
            await server.waitForLine((text) => text === 'ready', 'ready', THROUGH_TIMEOUT_MS);
            const answer = await link.onPeer(
              process.execPath,
              here('echo-process.js'),
              protocol,
              'ask',
              address,
            );
            assert.equal(answer, 'hello\n');
            await server.stop();
          }
        }
      },
      async hostState() {
        const state = [
          ['nft', 'list', 'ruleset'],
          ['ethtool', '-k', LINK],
          ['ip', 'link', 'show', 'dev', LINK],
        ];
        // Other tests pin there at the same time, and so does the program `ip`: only this namespace's pins count.
        const [, namespace] = /\[(\d+)\]/.exec(await link.onNode('readlink', '/proc/self/ns/net'))!;
        const pins = (bpffs === undefined ? [] : readdirSync(bpffs, { recursive: true, encoding: 'utf8' }))
          .filter((name) => name.startsWith(`anyhop/${namespace}/`))
          .sort();
        return [...(await Promise.all(state.map((argv) => link.onNode(...argv)))), ...pins].join('\n');
      },
      async startSecond(image) {
        const second = openEngine();
        try {
          await second.ask({ ask: 'start', image: image.bytes });
        } finally {
          await second.close();
        }
      },
      async startBroken(image) {
        const broken = openEngine({ ...process.env, NODE_OPTIONS: `--import=${here(under.broken)}` });
        try {
          await broken.ask({ ask: 'start', image: image.bytes });
        } finally {
          await broken.close();
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
