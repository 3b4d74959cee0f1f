/** The replay engine on the bench: steps become one run of packets, with publishes done between two of them. */
import { ReplayEngine } from '#anyhop/engine/replay.js';
import type { CapturedPacket } from '#anyhop/packet/pcap.js';
import type { EngineUnderTest, Step } from './contract.js';

export const replay: EngineUnderTest = {
  name: 'replay',
  skip: false,
  sends: 'frame',
  onInterface: false,
  canMiss: false,
  async open() {
    return {
      async run(image, steps, lists) {
        const outputs: Uint8Array[] = [];
        const engine = new ReplayEngine(packets(steps), { write: (bytes) => outputs.push(bytes.slice()) });
        let number = 0;
        function* packets(list: readonly Step[]): Generator<CapturedPacket> {
          for (const step of list) {
            if ('publish' in step) void engine.publish(step.publish);
            if ('lists' in step) void engine.defence.publishLists(step.lists ?? undefined);
            if (!('send' in step)) continue;
            for (const [i, bytes] of step.send.entries()) {
              if (i === step.send.length >> 1 && step.publishMidway) void engine.publish(step.publishMidway);
              yield {
                number: ++number,
                frame: bytes,
                timestampNs: 0n,
                originalLength: bytes.length,
                truncated: false,
              };
            }
          }
        }
        await engine.start(image, lists);
        const tried: (Uint8Array | null)[] = [];
        for (const step of steps) {
          if ('startAgain' in step) await engine.start(step.startAgain);
          if (!('try' in step)) continue;
          for (const bytes of step.try) tried.push((await engine.tryFrame(bytes)) ?? null);
        }
        await engine.finished;
        await engine.stop();
        const counters = engine.counters();
        return {
          outputs,
          tried,
          engine: await engine.engineCounters(),
          verdicts: counters.verdictsByName(),
          services: [...counters.services],
          backends: [...counters.backends],
          guarded: [...counters.guarded],
        };
      },
      async close() {},
    };
  },
};
