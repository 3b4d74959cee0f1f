/** What does capturing cost the forwarding program: while nobody does, at one packet in a hundred, and at every packet? */
import type { CaptureFilter } from '#anyhop/capture/record.js';
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import type { Image } from '#anyhop/image/read.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { FORWARD_PROGRAM, Forwarder, sizesFor } from '../../scripts/native/forwarder.js';
import { devObjectPath } from '../../scripts/native/object.js';
import { ArmedProgram } from '../../test/capture/armed.js';
import { median, report } from '../report.js';
import { type Contender, type Subject, spread, type Traffic, type Turns } from './harness.js';
import type { Load, Loads } from './loads.js';
import { measureVeth } from './veth.js';

/** Of a packet that is captured: what an engineer looks at. */
const SNAP_LENGTH = 128;
const NOBODY = parseAddress('192.0.2.99')!;

export function measureCapture(loads: Loads, image: Image, traffic: Traffic, turns: Turns): void {
  loads.publish(image);
  const others = loads.all.map(() => new Forwarder(sizesFor([image]), devObjectPath('without-capture')));
  const programs = loads.all.map(({ forwarder }) => new ArmedProgram(forwarder.object));
  for (const other of others) other.publish(image);
  const programOf = (load: Load): ArmedProgram => programs[loads.all.indexOf(load)];
  /** The reader keeps up: the ring is empty when a turn begins, and holds what one brings at one packet in a hundred. */
  const armed = (load: Load, filter: Partial<CaptureFilter>): Contender => ({
    ...off(load),
    prepare: () => programOf(load).arm({ snapLength: SNAP_LENGTH, ...filter }),
  });
  const off = (load: Load): Contender => ({
    subject: load.subject,
    traffic,
    prepare: () => programOf(load).disarm(),
  });

  const [least, whole] = loads.compare(turns, (load) => {
    const { object } = others[loads.all.indexOf(load)];
    return [{ subject: { object, program: FORWARD_PROGRAM }, traffic }, off(load)];
  });
  const added = whole.ns.map((ns, load) => ns - least.ns[load]);
  report({
    bench: 'xdp, capture off, over a program without it',
    value: median(added),
    unit: 'ns',
    target: 1,
    note: `added ${spread(added, 2)}; ns: ${median(whole.ns).toFixed(1)}, without ${median(least.ns).toFixed(1)}`,
  });

  const drops = VERDICTS.flatMap(({ action }, number) => (action === 'drop' ? [number] : []));
  const [idle, sampled, elsewhere, dropped, all] = loads.compare(turns, (load) => [
    off(load),
    armed(load, { sample: 100 }),
    armed(load, { client: { address: NOBODY, bits: 32 } }),
    armed(load, { verdicts: drops }),
    armed(load, {}),
  ]);
  const ratio = (bench: string, series: typeof idle): void =>
    report({
      bench: `xdp, ${bench}, over capture off`,
      value: median(series.ratios),
      unit: 'x',
      note: `ratio ${spread(series.ratios, 3)}; ns: ${median(series.ns).toFixed(1)}, off ${median(idle.ns).toFixed(1)}`,
    });
  ratio('capture of one packet in 100', sampled);
  ratio('capture of a client that sends nothing', elsewhere);
  ratio('capture of drops, of which there are none', dropped);
  ratio('capture of every packet, most of them lost', all);
  for (const program of programs) program.close();
  for (const other of others) other.close();
}

/** The rate over a veth that is left while one packet in a hundred is captured. */
export async function measureCaptureRate(
  subject: Subject,
  cpu: number,
  traffic: Parameters<typeof measureVeth>[2],
  turns: Turns,
): Promise<void> {
  const program = new ArmedProgram(subject.object);
  const {
    shares,
    subject: captured,
    bare,
  } = await measureVeth(subject, cpu, traffic, turns, {
    base: subject,
    prepare: (which) => {
      program.disarm();
      if (which === 'subject') program.arm({ sample: 100, snapLength: SNAP_LENGTH });
    },
  });
  program.close();
  const millions = (rates: readonly number[]): string => (median(rates) / 1e6).toFixed(2);
  report({
    bench: 'xdp, veth, one core, capture of one packet in 100',
    value: median(shares),
    unit: 'of the rate without',
    target: 0.95,
    higherIsBetter: true,
    note: `share ${spread(shares, 3)}; million packets/s: ${millions(captured)}, without ${millions(bare)}`,
  });
}
