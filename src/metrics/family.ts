/** What a family of metrics is, and short words to declare them. */

/** The processes that answer, by the section of the config that makes them. */
export const PROCESSES = ['node', 'agent', 'l7', 'announce'] as const;
export type MetricsProcess = (typeof PROCESSES)[number];

export interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence, without a full stop. */
  readonly help: string;
  readonly labels: readonly string[];
}

/** Only rises, but begins again at 0 with the process where the help says nothing else. */
export function counter(help: string, ...labels: string[]): Family {
  return { type: 'counter', help, labels };
}

export function gauge(help: string, ...labels: string[]): Family {
  return { type: 'gauge', help, labels };
}

/** Of durations in seconds. */
export function histogram(help: string, ...labels: string[]): Family {
  return { type: 'histogram', help, labels };
}
