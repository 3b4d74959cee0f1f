/**
 * A process with one engine in it, for a bench that runs it in a network namespace:
 *
 *   engine-process.js portable|af_xdp INTERFACE
 *   engine-process.js xdp INTERFACE BPFFS
 *
 * Takes one request at a time over the IPC channel and answers { value } or { error: { code, message } }. When the
 * channel closes it stops the engine and ends.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import { createLog } from '#anyhop/core/log.js';
import { AfXdpEngine } from '#anyhop/engine/af_xdp/engine.js';
import type { Engine } from '#anyhop/engine/contract.js';
import { PortableEngine } from '#anyhop/engine/portable/engine.js';
import { XdpEngine } from '#anyhop/engine/xdp/engine.js';
import { requireXdp } from '#anyhop/engine/xdp/requirements.js';
import { Image } from '#anyhop/image/read.js';

export type EngineRequest =
  /** The generation of the image that `start` will take over from. */
  | { readonly ask: 'predecessor' }
  | {
      readonly ask: 'start';
      readonly image: Uint8Array;
      readonly lists?: Uint8Array;
      readonly force?: boolean;
    }
  /** Once `afterPackets` have been received. */
  | { readonly ask: 'publish'; readonly image: Uint8Array; readonly afterPackets: number }
  /** Compiled; null: none. */
  | { readonly ask: 'lists'; readonly lists: Uint8Array | null }
  /** Answers once a packet has met the image in force. */
  | { readonly ask: 'met' }
  | { readonly ask: 'try'; readonly frame: Uint8Array }
  | { readonly ask: 'counters' }
  | { readonly ask: 'mode' }
  /** Answers once the engine has ended: with what broke it. */
  | { readonly ask: 'finished' }
  | { readonly ask: 'stop' };

const [name = '', interfaceName = '', bpffs = ''] = process.argv.slice(2);
const log = createLog('warn', false);
const ENGINES: Record<string, (force: boolean) => Promise<Engine>> = {
  portable: async () => new PortableEngine({ interface: interfaceName, log }),
  xdp: async (force) => {
    const place = { interface: interfaceName, bpffs };
    return new XdpEngine({ ...place, force, log }, await requireXdp(place));
  },
  af_xdp: async () => new AfXdpEngine({ interface: interfaceName, busyPollUs: 50, localVips: false, log }),
};

let engine: Engine | undefined;

process.on('message', async (request: EngineRequest) => {
  try {
    process.send!({ value: await answer(request) });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    process.send!({ error: { code, message } });
  }
});
process.on('disconnect', () => void engine?.stop().finally(() => process.exit()));

async function answer(request: EngineRequest): Promise<unknown> {
  if (request.ask === 'predecessor') return (await (await ENGINES[name](false)).predecessor())?.generation;
  if (request.ask === 'start') {
    engine ??= await ENGINES[name](request.force === true);
    try {
      await engine.start(imageFrom(request.image), request.lists && Uint8Array.from(request.lists));
    } catch (error) {
      if (!/already/.test(String(error))) engine = undefined;
      throw error;
    }
    return undefined;
  }
  if (engine === undefined) throw new Error('no engine has been started');
  if (request.ask === 'publish') {
    while (packetsOf(engine) < request.afterPackets) await new Promise((go) => setImmediate(go));
    await engine.publish(imageFrom(request.image));
    return undefined;
  }
  if (request.ask === 'lists') {
    await engine.defence.publishLists(request.lists === null ? undefined : Uint8Array.from(request.lists));
    return undefined;
  }
  if (request.ask === 'met') {
    const before = packetsOf(engine);
    while (packetsOf(engine) === before) await delay(1);
    return undefined;
  }
  if (request.ask === 'try') return (await engine.tryFrame(Uint8Array.from(request.frame))) ?? null;
  if (request.ask === 'mode') return engine.mode;
  if (request.ask === 'finished') return engine.finished;
  const stopped = engine;
  if (request.ask === 'stop') {
    await stopped.stop();
    engine = undefined;
  }
  const counters = stopped.counters();
  return {
    engine: await stopped.engineCounters(),
    verdicts: counters.verdictsByName(),
    services: [...counters.services],
    backends: [...counters.backends],
    guarded: [...counters.guarded],
  };
}

/** Without what was passed to the host, which is whatever the kernel finds to say. */
function packetsOf(engine: Engine): number {
  const { verdicts } = engine.counters();
  return verdicts.reduce((sum, count, i) => (VERDICTS[i].action === 'pass' ? sum : sum + count), 0);
}

/** What came over the channel lies somewhere in a larger buffer. */
function imageFrom(bytes: Uint8Array): Image {
  return new Image(Uint8Array.from(bytes).buffer);
}
