/** The file that would be read, against what it says of itself and against what is in force. */
import { resolve } from 'node:path';
import { formatProblem } from '../../config/error.js';
import { clockTime } from '../../core/time.js';
import type { Check, Finding } from '../check.js';

export const config: Check = {
  name: 'config',
  where: ['forwarder', 'backend'],
  looks: 'The config file has no likely mistakes, and has not been changed since the node read it.',
  async run({ status, place, host }) {
    const { file, warnings } = place.config;
    const take = place.where === 'backend' ? 'systemctl reload anyhop-agent' : 'anyhop plan && anyhop reload';
    const findings: Finding[] = warnings.map((warning) => ({
      level: 'warning',
      saw: formatProblem(warning),
      breaks: 'It is allowed, and most often a mistake: "anyhop check" says it too.',
      mend: `edit ${file}; then: ${take}`,
    }));
    const running = await status();
    const changedAt = host.changedAt(file);
    const isLater =
      changedAt !== undefined &&
      running?.config.file === resolve(file) &&
      changedAt > Date.parse(running.config.loadedAt);
    if (isLater && running.config.refused === undefined) {
      findings.push({
        level: 'warning',
        saw: `${file} was changed at ${clockTime(new Date(changedAt).toISOString())}, and the node has read ${running.config.file} at ${clockTime(running.config.loadedAt)}`,
        breaks: 'What the file says is not in force, and comes into force with the next restart.',
        mend: 'anyhop plan && anyhop reload',
      });
    }
    return findings;
  },
};
