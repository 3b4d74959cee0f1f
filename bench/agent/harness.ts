/**
 * Measures the agent's program by test runs, under a wrapper that puts the frame back between two of them (native/dev/bench-agent.bpf.c).
 * As in bench/xdp/harness.ts the programs take turns, and a figure is whole over whole within a turn.
 */
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { DevObject, devLibrary, devObjectPath } from '../../scripts/native/object.js';
import { type Series, type Turns, takeTurns } from '../xdp/harness.js';

/** Layout of struct anyhop_agent_plan, native/dev/bench-agent.h. */
const PLAN = {
  next: 0,
  flowMask: 4,
  length: 8,
  outer: 12,
  clientAt: 16,
  portAt: 20,
  head: 24,
  flows: 24 + 64,
} as const;
const HEAD_BYTES = 64;
const ETHERNET = 14;

export interface AgentFlow {
  /** The last four bytes of its address, as they stand in a packet. */
  readonly client: Uint8Array;
  readonly port: number;
}

export interface AgentTraffic {
  readonly frame: Uint8Array;
  /** Bytes of outer headers, GRE among them. */
  readonly outer: number;
  readonly family: 4 | 6;
  /** A power of two up to 1024 of them, taken in turn. */
  readonly flows: readonly AgentFlow[];
}

export interface AgentContender {
  /** What runs under the wrapper: a program that was loaded elsewhere, or one of the harness. */
  readonly subject: { readonly object: BpfObject; readonly program: string } | 'floor' | 'nothing';
  readonly traffic: AgentTraffic;
}

export class AgentHarness {
  readonly #wrapper = new DevObject(devObjectPath('bench-agent'));
  readonly #plan = new DataView(this.#wrapper.memory('.bss'));

  /** @param cpu that this process stays on from now on */
  constructor(cpu: number) {
    devLibrary.call('ERR_BPF', 'anyhop_dev_pin', cpu);
  }

  compare(contenders: readonly AgentContender[], turns: Turns): Series[] {
    return takeTurns(contenders.length, turns, (index, _, packets) => this.#run(contenders[index], packets));
  }

  close(): void {
    this.#wrapper.close();
  }

  #run({ subject, traffic }: AgentContender, packets: number): { ns: number; action: number } {
    this.#setPlan(traffic);
    if (subject === 'floor') this.#wrapper.tailCall('subject', this.#wrapper, 'bench_shrink');
    else if (subject === 'nothing') this.#wrapper.tailCall('subject', this.#wrapper, 'bench_nothing');
    else this.#wrapper.tailCall('subject', subject.object, subject.program);
    return this.#wrapper.timeRuns('bench_agent', Buffer.from(traffic.frame), packets);
  }

  #setPlan({ frame, outer, family, flows }: AgentTraffic): void {
    const plan = this.#plan;
    const bytes = new Uint8Array(plan.buffer);
    const inner = ETHERNET + outer;
    plan.setUint32(PLAN.next, 0, true);
    plan.setUint32(PLAN.flowMask, flows.length - 1, true);
    plan.setUint32(PLAN.length, frame.length, true);
    plan.setUint32(PLAN.outer, outer, true);
    plan.setUint32(PLAN.clientAt, inner + (family === 4 ? 12 : 20), true);
    plan.setUint32(PLAN.portAt, inner + (family === 4 ? 20 : 40), true);
    bytes.set(frame.subarray(0, HEAD_BYTES), PLAN.head);
    for (const [i, { client, port }] of flows.entries()) {
      bytes.set(client, PLAN.flows + 8 * i);
      plan.setUint16(PLAN.flows + 8 * i + 4, port);
    }
  }
}
