/**
 * What does each step of the forwarding program cost? The program is compiled again without it (native/dev/without.h), or
 * loaded so that the kernel takes it out, and the two take turns. Steps overlap in the processor, so the costs are not
 * parts of a sum: each is what would be won without this one.
 */
import type { Image } from '#anyhop/image/read.js';
import { FORWARD_PROGRAM, Forwarder, sizesFor } from '../../scripts/native/forwarder.js';
import { devObjectPath } from '../../scripts/native/object.js';
import { median, report } from '../report.js';
import { type Subject, spread, type Traffic, type Turns } from './harness.js';
import type { Loads } from './loads.js';

const STEPS = [
  ['hash', 'the flow hash, over its first multiplication'],
  ['lane', 'the search for the lane'],
  ['checks', 'the checks of the client address'],
  ['age', 'the inner TTL'],
  ['write', 'writing the outer headers'],
] as const;

/** @param image of one IPv4 VIP, at the first place of its table, with one TCP service */
export function measureSteps(loads: Loads, image: Image, traffic: Traffic, turns: Turns): void {
  const sizes = sizesFor([image]);
  loads.publish(image);
  const measure = (name: string, load: () => Forwarder): void => {
    const others = loads.all.map(load);
    const [all, less] = loads.compare(turns, (whole) => {
      const other = others[loads.all.indexOf(whole)];
      other.publish(image);
      const without: Subject = { object: other.object, program: FORWARD_PROGRAM };
      return [whole.subject, without].map((subject) => ({ subject, traffic }));
    });
    const expected = (turns.turns + 1) * turns.packets;
    for (const other of others) {
      const forwarded = other.verdicts()['forwarded'] ?? 0;
      if (forwarded !== expected) throw new Error(`without ${name}: ${forwarded} of ${expected} forwarded`);
      other.close();
    }
    const won = all.ns.map((ns, load) => ns - less.ns[load]);
    report({
      bench: `xdp step, ${name}`,
      value: median(won),
      unit: 'ns',
      note: `${spread(won, 1)}; ns: ${median(all.ns).toFixed(1)}, without it ${median(less.ns).toFixed(1)}`,
    });
  };
  for (const [step, name] of STEPS)
    measure(name, () => new Forwarder(sizes, devObjectPath(`without-${step}`)));
  // The verifier removes what no counter number can reach.
  measure('counting by service and backend', () => new Forwarder({ ...sizes, services: 0, backends: 0 }));
}
