/**
 * Throughput over veth on one core: what share of a bare XDP_TX program's rate is left with the forwarder in its place?
 *
 *   peer: generator --\                    /-- node: bare_tx | anyhop_forward, XDP_TX
 *                      eth0 ======== eth0 <
 *   peer: sink, XDP --/
 *
 * The generator's thread does all of it: what it sends makes the kernel run the receiving end at once, on the same core, and
 * what that sends back, the sink. The two programs take turns.
 */
import type { XdpLink } from '#anyhop/ffi/link.js';
import { attach, inside } from '../../scripts/native/attached.js';
import { Generator, type GeneratorPlan } from '../../scripts/native/generator.js';
import { DevObject, devObjectPath } from '../../scripts/native/object.js';
import { createLink, LINK } from '../../test/engine/link.js';
import { NODE_MAC, ROUTER_MAC } from '../../test/packets/build.js';
import type { Subject, Turns } from './harness.js';

/** Where another process takes the core, the kernel leaves the receiving end for later, and its ring of 256 packets runs over:
 * a turn in which more than a hundredth of the packets was lost is no measurement, and is done again. */
const WHOLE = 0.99;
const TRIES_A_TURN = 5;
/** Of a turn; a core that is not even this fast could not measure. */
const SECONDS_MAX = 10;

export interface VethSeries {
  /** Packets that reached the sink, a second; a turn each. */
  readonly bare: number[];
  readonly subject: number[];
  readonly shares: number[];
  /** Packets that the subject sent and that reached the sink, in all turns. */
  arrived: number;
}

/** What the subject is compared with instead of a bare XDP_TX program: the same in another state, say. */
export interface VethBase {
  readonly base: Subject;
  /** Called before each turn of one of the two. */
  readonly prepare?: (which: 'base' | 'subject') => void;
  /** Packets that one of the two has dropped so far, when it is there to drop them: none reaches the sink then. */
  readonly dropped?: (which: 'base' | 'subject') => number;
}

/**
 * @param cpu that this thread is pinned to
 * @param traffic targets, flows and sizes; `frames` are for NODE_MAC
 */
export async function measureVeth(
  subject: Subject,
  cpu: number,
  traffic: Pick<GeneratorPlan, 'targets' | 'flows' | 'sizes' | 'synShare' | 'spoofed'>,
  { turns, packets }: Turns,
  other?: VethBase,
): Promise<VethSeries> {
  const link = await createLink();
  const ends = new DevObject(devObjectPath('veth'));
  const bare: Subject = other?.base ?? { object: ends, program: 'bare_tx' };
  const sunk = new BigUint64Array(ends.memory('.bss'));
  const attached: XdpLink[] = [];
  try {
    const [{ ifindex }] = JSON.parse(await link.onPeer('ip', '-json', 'link', 'show', 'dev', LINK));
    const forwarder = await inside(link.node, () => attach(LINK, bare.object, bare.program));
    attached.push(forwarder);
    attached.push(await inside(link.peer, () => attach(LINK, ends, 'sink')));
    const generator = new Generator({
      ...traffic,
      interfaceIndex: ifindex,
      sourceMac: ROUTER_MAC,
      destinationMac: NODE_MAC,
    });
    const series: VethSeries = { bare: [], subject: [], shares: [], arrived: 0 };
    const rate = async (which: 'base' | 'subject'): Promise<number | undefined> => {
      const { object, program } = which === 'base' ? bare : subject;
      other?.prepare?.(which);
      object.withProgram(program, (descriptor) => forwarder.replace(descriptor));
      const ended = (): number => other?.dropped?.(which) ?? Number(sunk[cpu]);
      const before = ended();
      const made = await inside(link.peer, () => generator.run({ packets, seconds: SECONDS_MAX }));
      const arrived = ended() - before;
      if (which === 'subject') series.arrived += arrived;
      return arrived < packets * WHOLE ? undefined : arrived / made.seconds;
    };
    await rate('subject');
    for (let turn = 0, tries = 0; turn < turns; tries++) {
      if (tries > turns * TRIES_A_TURN)
        throw new Error(`packets were lost in ${tries - turn} of ${tries} turns`);
      const first = await rate(tries % 2 === 0 ? 'base' : 'subject');
      const second = await rate(tries % 2 === 0 ? 'subject' : 'base');
      if (first === undefined || second === undefined) continue;
      const [bareRate, subjectRate] = tries % 2 === 0 ? [first, second] : [second, first];
      series.bare.push(bareRate);
      series.subject.push(subjectRate);
      series.shares.push(subjectRate / bareRate);
      turn++;
    }
    generator.close();
    return series;
  } finally {
    for (const one of attached) one.descriptor.close();
    ends.close();
    await link.resources.close();
  }
}
