/**
 * Packets a second over a veth, on one core that also makes them and takes what comes back (bench/xdp/veth.ts): what of a rate is left
 * when the same packets are answered or dropped. Here a packet costs what a driver takes, beside what the program does.
 */
import { parseAddress } from '#anyhop/packet/address.js';
import type { GeneratorPlan } from '../../scripts/native/generator.js';
import { DevObject, devObjectPath } from '../../scripts/native/object.js';
import { VIP4 } from '../../test/forward/fixture.js';
import { median, report } from '../report.js';
import { spread, type Turns } from '../xdp/harness.js';
import type { Load } from '../xdp/loads.js';
import { measureVeth } from '../xdp/veth.js';
import { PORT } from './packets.js';
import { imageWith, type RulesName } from './rules.js';

type Packets = Pick<GeneratorPlan, 'targets' | 'flows' | 'sizes' | 'synShare' | 'spoofed'>;

/** From everywhere in SPOOFED_NETS. */
const ACKS: Packets = {
  targets: [{ address: parseAddress(VIP4)!, port: PORT, protocol: 'tcp' }],
  flows: 1,
  sizes: [64],
  synShare: 0,
  spoofed: true,
};
/** Of real systems. */
const SYNS: Packets = { ...ACKS, synShare: 1 };

/** SYNs answered beside small packets forwarded. */
export async function measureAnswerRate(
  { subject, forwarder }: Load,
  cpu: number,
  turns: Turns,
): Promise<void> {
  const rules = { base: 'none', subject: 'always' } as const satisfies Record<string, RulesName>;
  const veth = await measureVeth(subject, cpu, SYNS, turns, {
    base: subject,
    prepare: (which) => forwarder.publish(imageWith(rules[which])),
  });
  report({
    bench: 'defend, veth, one core, SYNs answered, over packets forwarded',
    value: median(veth.shares),
    unit: 'x',
    target: 0.6,
    higherIsBetter: true,
    note: `share ${spread(veth.shares, 2)}; million a second: ${millions(veth.subject)}, forwarded ${millions(veth.bare)}`,
  });
}

/** Packets of blocked networks beside a program that only drops. SPOOFED_NETS are on the list in force. */
export async function measureDropRate(
  { subject, forwarder }: Load,
  cpu: number,
  turns: Turns,
): Promise<void> {
  const ends = new DevObject(devObjectPath('veth'));
  const sunk = new BigUint64Array(ends.memory('.bss'));
  forwarder.publish(imageWith('both'));
  const veth = await measureVeth(subject, cpu, ACKS, turns, {
    base: { object: ends, program: 'sink' },
    dropped: (which) => (which === 'base' ? Number(sunk[cpu]) : (forwarder.verdicts()['drop_blocked'] ?? 0)),
  });
  ends.close();
  const times = veth.shares.map((share) => 1 / share);
  report({
    bench: 'defend, veth, one core, packets of a blocked network, over a program that only drops',
    value: median(times),
    unit: 'x',
    target: 1.2,
    note: `${spread(times, 2)}; million a second: ${millions(veth.subject)}, dropping alone ${millions(veth.bare)}`,
  });
}

function millions(rates: readonly number[]): string {
  return (median(rates) / 1e6).toFixed(2);
}
