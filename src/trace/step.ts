/** What a trace says: one step for each thing that must happen to a packet on its way, in this order. */

export interface Step {
  readonly step: StepName;
  /** `note`: it works, and there is something to know. `unknown`: nobody can tell from here. */
  readonly state: 'ok' | 'note' | 'unknown' | 'failed';
  /** A sentence or two, without a full stop. */
  readonly text: string;
  /** Of a failed one: the line that mends it, or what to look at. */
  readonly mend?: string;
  /** What programs read. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

export const STEPS = {
  decide: 'which service, slot and backend the node chooses',
  encapsulate: 'what its engine sends, and where to',
  agent: 'whether the agent of the backend takes the probe',
  host: 'what the host of the backend answers',
  answer: 'whether the answer comes back here',
  second_chance: 'whether a packet of no connection goes on to the alternates',
  mtu: 'how large packets may be on the way',
  hops: 'which routers are on the way',
} as const;
export type StepName = keyof typeof STEPS;

/** One flow, or one backend. */
export interface Trace {
  readonly backend: string | null;
  /** Nothing has failed. */
  readonly ok: boolean;
  readonly steps: readonly Step[];
}

export function traceOf(backend: string | null, steps: readonly Step[]): Trace {
  return { backend, ok: steps.every(({ state }) => state !== 'failed'), steps };
}
