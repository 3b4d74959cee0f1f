/** Rates that a node does not tell, such as those of what a killed one left: from two of its answers. */
import type { NodeStatus, Traffic } from '../api/status.js';
import type { Answer } from './seen.js';

type Counts = Pick<Traffic, 'packets' | 'bytes'>;

/**
 * The status of `answer` with every rate that it lacks. A rate is 0 when there is nothing to compare with; a count that went back
 * began again at 0.
 */
export function rated(answer: Answer, before?: Answer): NodeStatus {
  const { status } = answer;
  if (!lacksRates(status)) return status;
  const seconds = before === undefined ? 0 : (answer.at - before.at) / 1000;
  const former = before?.status;
  const services = new Map(former?.services.map((one) => [one.name, one]));
  const backends = new Map(
    former?.pools.flatMap((pool) => pool.backends.map((one) => [`${pool.name}/${one.name}`, one])),
  );
  const traffic = (now: Counts, then: Counts | undefined) => ({
    packetsPerSecond: perSecond(now.packets, then?.packets, seconds),
    bytesPerSecond: perSecond(now.bytes, then?.bytes, seconds),
  });
  return {
    ...status,
    services: status.services.map((one) => ({ ...one, ...traffic(one, services.get(one.name)) })),
    pools: status.pools.map((pool) => ({
      ...pool,
      backends: pool.backends.map((one) => ({
        ...one,
        ...traffic(one, backends.get(`${pool.name}/${one.name}`)),
      })),
    })),
    verdicts: Object.fromEntries(
      Object.entries(status.verdicts).map(([name, { packets }]) => [
        name,
        // A verdict is told from its first packet on.
        {
          packets,
          packetsPerSecond: perSecond(packets, former && (former.verdicts[name]?.packets ?? 0), seconds),
        },
      ]),
    ),
  };
}

/** @param seconds between the two; nothing is known when it is not above 0 */
export function perSecond(now: number, then: number | undefined, seconds: number): number {
  if (then === undefined || !(seconds > 0)) return 0;
  return (now >= then ? now - then : now) / seconds;
}

/** Of a counter of the engine. */
export function lossRate(
  answer: Answer,
  before: Answer | undefined,
  counter: 'missed' | 'sendFailed',
): number | undefined {
  const now = answer.status.engine.counters[counter];
  const then = before?.status.engine.counters[counter];
  if (now === null || then === null || before === undefined) return undefined;
  return perSecond(now, then, (answer.at - before.at) / 1000);
}

function lacksRates(status: NodeStatus): boolean {
  const lacks = (one: { readonly packetsPerSecond?: number }): boolean => one.packetsPerSecond === undefined;
  return (
    status.services.some(lacks) ||
    Object.values(status.verdicts).some(lacks) ||
    status.pools.some(({ backends }) => backends.some(lacks))
  );
}
