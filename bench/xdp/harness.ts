/**
 * Measures XDP programs against each other by test runs, honestly: the frame is put back between two runs by a wrapper
 * (native/dev/bench.bpf.c), the programs take turns within one run of the harness, and what counts is the ratio within a
 * turn, which noise of the machine moves less than either time.
 *
 * A figure is whole over whole: (wrapper + subject) / (wrapper + floor). The wrapper's share is told beside it, so
 * that a reader can take it off both.
 */
import { DevObject, devLibrary, devObjectPath } from '../../scripts/native/object.js';
import { checksum } from '../../test/packets/layer.js';
import { median } from '../report.js';
import type { SourceSpread } from './sources.js';

/** Layout of struct anyhop_bench_plan, native/dev/bench.h. */
const PLAN = {
  next: 0,
  flowMask: 4,
  length: 8,
  ttlProtocol: 12,
  etherType: 14,
  macs: 16,
  client: 28,
  ipv6Start: 32,
  padding: 40,
  cutOff: 44,
  sourceBits: 48,
  sourceFixed: 64,
  start: 80,
  whole: 104,
  targets: 208,
} as const;
const WHOLE_BYTES = PLAN.targets - PLAN.whole;
const TARGET = { address: 0, checksum: 16, port: 18, bytes: 24, count: 32 } as const;

const ETHERNET = 14;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const ETHERTYPE_IPV6 = 0x86dd;

export interface Traffic {
  /** A power of two up to 2^20. */
  readonly flows: number;
  /** One for each VIP, from the first client, all of one family and length. Flows spread over them. */
  readonly frames: readonly Uint8Array[];
  /** Each flow has a source of its own instead of one of few; there is one frame then. */
  readonly sources?: SourceSpread;
  /** The subject turns the packet into an answer, so that the wrapper writes the whole frame; with `sources`. */
  readonly isAnswered?: boolean;
}

/** A program under the wrapper. */
export interface Subject {
  readonly object: DevObject;
  readonly program: string;
}

export interface Contender {
  readonly subject: Subject;
  readonly traffic: Traffic;
  /** Called before each turn; its time does not count. */
  readonly prepare?: () => void;
}

/** One contender's times and ratios to the first one's, a turn each; ns a packet. */
export interface Series {
  readonly ns: readonly number[];
  readonly ratios: readonly number[];
  /** XDP action of the last packet. */
  readonly action: number;
}

export interface Turns {
  readonly turns: number;
  /** Packets that each program gets in one. */
  readonly packets: number;
}

export class Harness {
  readonly #wrapper = new DevObject(devObjectPath('bench'));
  readonly #plan = new DataView(this.#wrapper.memory('.bss'));

  readonly floor: Subject = { object: this.#wrapper, program: 'bench_grow' };
  readonly pass: Subject = { object: this.#wrapper, program: 'bench_pass' };
  readonly drop: Subject = { object: this.#wrapper, program: 'bench_drop' };
  readonly back: Subject = { object: this.#wrapper, program: 'bench_back' };

  /** @param cpu that this process stays on from now on */
  constructor(cpu: number) {
    devLibrary.call('ERR_BPF', 'anyhop_dev_pin', cpu);
  }

  /** Each contender goes on with the flows where it stopped. The first is what the others are divided by. */
  compare(contenders: readonly Contender[], turns: Turns): Series[] {
    return takeTurns(contenders.length, turns, (index, first, packets) =>
      this.#run(contenders[index], first, packets),
    );
  }

  close(): void {
    this.#wrapper.close();
  }

  #run(
    { subject, traffic, prepare }: Contender,
    first: number,
    packets: number,
  ): { ns: number; action: number } {
    prepare?.();
    setPlan(this.#plan, traffic);
    this.#plan.setUint32(PLAN.next, first, true);
    this.#wrapper.tailCall('subject', subject.object, subject.program);
    return this.#wrapper.timeRuns(wrapperOf(traffic), Buffer.from(traffic.frames[0]), packets);
  }
}

/** Which of native/dev/bench.bpf.c makes these packets. */
function wrapperOf({ frames, sources, isAnswered }: Traffic): string {
  const family = isIpv6(frames[0]) ? 6 : 4;
  if (sources === undefined) return `bench_ipv${family}`;
  return isAnswered ? `bench_whole${family}` : `bench_sources${family}`;
}

/** Writes what the wrapper makes of each packet. @param plan the wrapper's .bss */
export function setPlan(plan: DataView, { flows, frames, sources, isAnswered }: Traffic): void {
  const bytes = new Uint8Array(plan.buffer);
  const [first] = frames;
  const six = isIpv6(first);
  const header = six ? IPV6_HEADER : IPV4_HEADER;
  plan.setUint32(PLAN.flowMask, flows - 1, true);
  plan.setUint32(PLAN.length, first.length, true);
  const packet = new DataView(first.buffer).getUint16(ETHERNET + (six ? 4 : 2)) + (six ? IPV6_HEADER : 0);
  plan.setUint32(PLAN.cutOff, 0, true);
  plan.setUint32(PLAN.padding, first.length - ETHERNET - packet, true);
  plan.setBigUint64(PLAN.start, 0n, true);
  // The rest are bytes as they stand in the packet.
  if (sources !== undefined) {
    bytes.set(sources.bits, PLAN.sourceBits);
    bytes.set(sources.fixed, PLAN.sourceFixed);
  }
  if (isAnswered) {
    if (first.length > WHOLE_BYTES) throw new RangeError(`a frame of ${first.length} bytes`);
    bytes.set(first, PLAN.whole);
  }
  bytes.set(first.subarray(0, 12), PLAN.macs);
  bytes.set(first.subarray(12, ETHERNET), PLAN.etherType);
  if (six) bytes.set(first.subarray(ETHERNET, ETHERNET + 8), PLAN.ipv6Start);
  else bytes.set(first.subarray(ETHERNET + 8, ETHERNET + 10), PLAN.ttlProtocol);
  const source = ETHERNET + (six ? 20 : 12);
  bytes.set(first.subarray(source, source + 4), PLAN.client);
  for (let target = 0; target < TARGET.count; target++) {
    const frame = frames[target % frames.length];
    const at = PLAN.targets + target * TARGET.bytes;
    bytes.set(frame.subarray(ETHERNET + (six ? 24 : 16), ETHERNET + header), at + TARGET.address);
    bytes.set(frame.subarray(ETHERNET + 10, ETHERNET + 12), at + TARGET.checksum);
    if (sources !== undefined && !six) plan.setUint16(at + TARGET.checksum, checksumWithoutSource(frame));
    bytes.set(frame.subarray(ETHERNET + header + 2, ETHERNET + header + 4), at + TARGET.port);
  }
}

/** Of the IPv4 header, as if its source were 0.0.0.0. */
function checksumWithoutSource(frame: Uint8Array): number {
  const header = frame.slice(ETHERNET, ETHERNET + IPV4_HEADER);
  header.fill(0, 10, 16);
  return checksum(header);
}

function isIpv6(frame: Uint8Array): boolean {
  return new DataView(frame.buffer, frame.byteOffset).getUint16(12) === ETHERTYPE_IPV6;
}

/**
 * Lets contenders take turns, in an order that turns around.
 * @param run one of them, on packets from number `first` on
 */
export function takeTurns(
  contenders: number,
  { turns, packets }: Turns,
  run: (index: number, first: number, packets: number) => { ns: number; action: number },
): Series[] {
  const order = Array.from({ length: contenders }, (_, index) => index);
  const series = order.map(() => ({ ns: [] as number[], ratios: [] as number[], action: -1 }));
  // The first turn fills caches and is not counted.
  for (let turn = -1; turn < turns; turn++) {
    for (const index of order) {
      const { ns, action } = run(index, (turn + 1) * packets, packets);
      series[index].action = action;
      if (turn >= 0) series[index].ns.push(ns);
    }
    if (turn >= 0) for (const one of series) one.ratios.push(one.ns[turn] / series[0].ns[turn]);
    order.reverse();
  }
  return series;
}

/** "median, p10 to p90". */
export function spread(samples: readonly number[], digits: number): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): string => sorted[Math.round((sorted.length - 1) * share)].toFixed(digits);
  return `${median(samples).toFixed(digits)} (${at(0.1)} to ${at(0.9)})`;
}
