/**
 * Do real clients notice a flood of spoofed SYNs? The fleet of `make demo-flood`, defended: 1,000 connections are open and new ones begin
 * all the time, first without a flood, then with one as fast as the generator makes it. All of it shares the cores of this machine.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { FloodFleet } from '../../scripts/demo-flood/fleet.js';
import { flood, SPOOFED_SYNS } from '../../scripts/demo-flood/floods.js';
import type { ClientRecord } from '../../scripts/demo-flood/journal.js';
import { Witness } from '../../scripts/demo-flood/witness.js';
import { report } from '../report.js';

export interface Numbers {
  readonly held: number;
  readonly shortsPerSecond: number;
  readonly seconds: number;
  /** The most SYNs a second; the generator makes what it can. */
  readonly rate: number;
}

const DEFEND = {
  mode: 'enforce',
  source_rate: { packets: 2_000, syn: 100, per: '1s' },
  syn_cookies: 'always',
};
const ASK_EVERY_MS = 2_000;

export async function measureClients({ held, shortsPerSecond, seconds, rate }: Numbers): Promise<void> {
  const fleet = await FloodFleet.start({ defend: DEFEND }, true);
  try {
    await fleet.untilCookies();
    const traffic = await fleet.startClients({ held, shortsPerSecond, askEveryMs: ASK_EVERY_MS });
    const calmMs = Date.now();
    await delay(seconds * 1000);
    const witness = new Witness(fleet);
    const floodMs = Date.now();
    const made = await flood(fleet, SPOOFED_SYNS, { rate, seconds });
    const doneMs = Date.now();
    await witness.stop();
    await traffic.stop();
    const connections = traffic.connections as ClientRecord[];
    const [calm, flooded] = [
      { from: calmMs, to: floodMs },
      { from: floodMs, to: doneMs },
    ].map(({ from, to }) => slowest(connections, from, to));
    const failed = connections.filter(({ broken }) => broken !== null);
    const at = `${Math.round(made.rate).toLocaleString('en')} spoofed SYNs a second`;
    report({
      bench: `defend, real clients under ${at}, that failed`,
      value: failed.length,
      unit: 'connections',
      target: 0,
      note: `of ${connections.length}; ${made.packets.toLocaleString('en')} SYNs${failed.length > 0 ? `; ${failed[0].broken}` : ''}`,
    });
    report({
      bench: 'defend, real clients, p99 of a handshake under the flood, over that before it',
      value: flooded.ms / calm.ms,
      unit: 'x',
      target: 1.5,
      note: `ms: ${flooded.ms} of ${flooded.count}, before ${calm.ms} of ${calm.count}`,
    });
    report({
      bench: 'defend, half-open connections in the fullest SYN queue of a backend',
      value: Math.max(...witness.looks.map(({ halfOpen }) => halfOpen)),
      unit: 'connections',
      target: 0,
    });
  } finally {
    await fleet.close();
  }
}

/** All but one in a hundred of the handshakes that began in a time took no longer. */
function slowest(
  connections: readonly ClientRecord[],
  fromMs: number,
  toMs: number,
): { ms: number; count: number } {
  const took = connections
    .filter(({ openedAtMs }) => openedAtMs >= fromMs && openedAtMs < toMs)
    .flatMap(({ connectedMs }) => connectedMs ?? [])
    .sort((a, b) => a - b);
  return { ms: Math.max(1, took[Math.floor(took.length * 0.99)] ?? Infinity), count: took.length };
}
