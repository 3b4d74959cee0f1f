/**
 * The process that forwards in bench/afxdp.ts, in the node's namespace:
 *
 *   process.js INTERFACE
 *
 * Takes one request at a time over the IPC channel, and answers { value }: start a loop, count for so long, stop.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createLog } from '#anyhop/core/log.js';
import { AfXdpEngine } from '#anyhop/engine/af_xdp/engine.js';
import { Image } from '#anyhop/forward/image.js';
import { CLoop } from './c-loop.js';

export type Language = 'TypeScript' | 'C';
export type LoopRequest =
  | { readonly start: Language; readonly image: Uint8Array }
  | { readonly measureMs: number }
  | { readonly stop: true };

interface Loop {
  start(image: Image): Promise<void>;
  sent(): Promise<number> | number;
  stop(): Promise<void>;
}

const BUSY_POLL_US = 50;
const [interfaceName = ''] = process.argv.slice(2);
let loop: Loop | undefined;

const LOOPS: Record<Language, () => Loop> = {
  C: () => new CLoop(interfaceName, BUSY_POLL_US),
  TypeScript: () => {
    const log = createLog('warn', false);
    const engine = new AfXdpEngine({ interface: interfaceName, busyPollUs: BUSY_POLL_US, log });
    return {
      start: (image) => engine.start(image),
      sent: async () => (await engine.engineCounters()).sent,
      stop: () => engine.stop(),
    };
  },
};

process.on('message', async (request: LoopRequest) => {
  try {
    process.send!({ value: await answer(request) });
  } catch (error) {
    process.send!({ error: { message: (error as Error).message } });
  }
});
process.on('disconnect', () => void loop?.stop().finally(() => process.exit()));

/** What was sent in so long, and the CPU time that all of the process took for it: its compiler and collector included. */
export interface Measured {
  readonly packets: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
}

async function answer(request: LoopRequest): Promise<Measured | undefined> {
  if ('start' in request) {
    loop = LOOPS[request.start]();
    await loop.start(new Image(Uint8Array.from(request.image).buffer));
    return undefined;
  }
  if ('stop' in request) {
    await loop?.stop();
    loop = undefined;
    return undefined;
  }
  const before = { packets: await loop!.sent(), cpu: process.cpuUsage(), ms: performance.now() };
  await delay(request.measureMs);
  const { user, system } = process.cpuUsage(before.cpu);
  const seconds = (performance.now() - before.ms) / 1000;
  return { packets: (await loop!.sent()) - before.packets, cpuSeconds: (user + system) / 1e6, seconds };
}
