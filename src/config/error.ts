/** All problems of a config file at once: each with its place, its field, what was found and what is expected. */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';

export interface ConfigProblem {
  readonly file: string;
  /** From 1; 0 without a place in the file (a missing file, a value from the command line). */
  readonly line: number;
  readonly column: number;
  /** Path of the field, `pools.web.backends[2].address`; empty for the file as a whole. */
  readonly field: string;
  /** One sentence: what was found and what is expected. */
  readonly message: string;
}

export class ConfigError extends AnyhopError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super('ERR_CONFIG', problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** In the order of the file, problems without a place first. */
export function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return a.line - b.line || a.column - b.column;
}

/** `file:line:column: field: message`, the form that editors and terminals turn into a link. */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  return problem.field === ''
    ? `${place}: ${problem.message}`
    : `${place}: ${problem.field}: ${problem.message}`;
}

export function logWarnings(warnings: readonly ConfigProblem[], log: Logger): void {
  for (const warning of warnings) {
    const { file, line, field } = warning;
    log.warn({ event: 'config_warning', file, line, field }, formatProblem(warning));
  }
}
