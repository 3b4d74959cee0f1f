/** Lists of sources that are not in force as their files are. */
import { printable } from '../../core/printable.js';
import type { Check } from '../check.js';

/** Of a problem, which may quote a file. */
const PROBLEM_CHARS_MAX = 512;

export const lists: Check = {
  name: 'lists',
  where: ['forwarder'],
  looks: 'The files of defend.allow and defend.block are in force as they are.',
  async run({ status }) {
    const found = await status();
    return (found?.defend?.lists.problems ?? []).map((problem) => ({
      level: 'warning' as const,
      saw: `a list is not in force as it is written: ${printable(problem, PROBLEM_CHARS_MAX)} (anyhop defend status)`,
      breaks:
        'What was in force before stays, if there was anything: who was added since is not blocked, or not spared.',
      mend: 'correct the file, and move it into place in one step: mv block.new block.txt; a list that shrank on purpose: anyhop reload --force',
    }));
  },
};
