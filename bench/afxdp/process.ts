/**
 * The process that forwards in bench/afxdp.ts, in the node's namespace:
 *
 *   process.js INTERFACE TypeScript|C
 *
 * Takes one request at a time over the IPC channel, and answers { value }: start the loop, or tell what it has done.
 */
import { createLog } from '#anyhop/core/log.js';
import { AfXdpEngine } from '#anyhop/engine/af_xdp/engine.js';
import { Image } from '#anyhop/image/read.js';
import { CLoop } from './c-loop.js';

export type Language = 'TypeScript' | 'C';
export type LoopRequest = { readonly start: Uint8Array } | { readonly tell: true };

interface Loop {
  start(image: Image): Promise<void>;
  sent(): Promise<number> | number;
  stop(): Promise<void>;
}

const BUSY_POLL_US = 50;
const [interfaceName = '', language] = process.argv.slice(2);

const LOOPS: Record<Language, () => Loop> = {
  C: () => new CLoop(interfaceName, BUSY_POLL_US),
  TypeScript: () => {
    const log = createLog('warn', false);
    const engine = new AfXdpEngine({
      interface: interfaceName,
      busyPollUs: BUSY_POLL_US,
      localVips: false,
      log,
    });
    return {
      start: (image) => engine.start(image),
      sent: async () => (await engine.engineCounters()).sent,
      stop: () => engine.stop(),
    };
  },
};

const loop = LOOPS[language as Language]();

process.on('message', async (request: LoopRequest) => {
  try {
    process.send!({ value: await answer(request) });
  } catch (error) {
    process.send!({ error: { message: (error as Error).message } });
  }
});
process.on('disconnect', () => void loop.stop().finally(() => process.exit()));

/** What was sent so far, and the CPU time of all of the process: its compiler and collector included. */
export interface Told {
  readonly packets: number;
  readonly cpuSeconds: number;
}

async function answer(request: LoopRequest): Promise<Told | undefined> {
  if ('start' in request) {
    await loop.start(new Image(Uint8Array.from(request.start).buffer));
    return undefined;
  }
  const { user, system } = process.cpuUsage();
  return { packets: await loop.sent(), cpuSeconds: (user + system) / 1e6 };
}
