/**
 * Does a second CPU forward as much as the first? Each CPU has a wrapper of its own (native/dev/bench.bpf.c), with its own plan of packets; all
 * of them call the one forwarding program, with its image and counters. CPU time is compared, so another process on a core does not count.
 */
import { DevObject, devObjectPath, timeRunsAtOnce } from '../../scripts/native/object.js';
import { median, report } from '../report.js';
import { type Subject, setPlan, spread, type Traffic, type Turns } from './harness.js';

/** @param cpus of this machine; the subject runs on all of them at once, then on the first alone */
export function measureScaling(
  cpus: number,
  subject: Subject,
  floor: string,
  traffic: Traffic,
  { turns, packets }: Turns,
): void {
  const wrappers = Array.from({ length: cpus }, () => new DevObject(devObjectPath('bench')));
  const plans = wrappers.map((wrapper) => new DataView(wrapper.memory('.bss')));
  const frame = Buffer.from(traffic.frames[0]);
  const run = (count: number): number[] => {
    for (const [cpu, plan] of plans.entries()) {
      setPlan(plan, traffic);
      plan.setUint32(0, cpu * (traffic.flows / cpus), true); // each CPU begins with other flows
    }
    return timeRunsAtOnce(wrappers.slice(0, count), 'bench_ipv4', frame, packets);
  };
  /** Packets of all CPUs in the time that one of them alone takes for one, a turn each. */
  const measure = (call: (wrapper: DevObject) => void): number[] => {
    for (const wrapper of wrappers) call(wrapper);
    const ratios: number[] = [];
    for (let turn = -1; turn < turns; turn++) {
      const [alone] = run(1);
      const together = run(cpus);
      if (turn >= 0) ratios.push(together.reduce((sum, ns) => sum + alone / ns, 0));
    }
    return ratios;
  };
  const forwarded = measure((wrapper) => wrapper.tailCall('subject', subject.object, subject.program));
  const grown = measure((wrapper) => wrapper.tailCall('subject', wrapper, floor));
  for (const wrapper of wrappers) wrapper.close();
  report({
    bench: `xdp, ${cpus} CPUs at once, over one`,
    value: median(forwarded),
    unit: 'x',
    target: 0.95 * cpus,
    higherIsBetter: true,
    note: `${spread(forwarded, 2)}; the floor, which shares nothing, ${spread(grown, 2)}`,
  });
}
