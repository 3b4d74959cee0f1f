/** Hosts of a fleet whose clocks differ: agents tell the time as they answer. */
import { AnyhopError } from '../../core/errors.js';
import { formatDuration } from '../../core/time.js';
import type { Check, Finding } from '../check.js';

/** Agents tell whole seconds, and the answer takes a moment. */
const SKEW_MS_MAX = 3_000;

export const clock: Check = {
  name: 'clock',
  where: ['forwarder'],
  looks: 'The clocks of the backends and of this host agree to three seconds.',
  async run(facts) {
    const skews = new Map<string, number>();
    for (const { target, answer, atMs } of await facts.agents()) {
      if (answer instanceof AnyhopError || answer.clockMs === undefined) continue;
      skews.set(target.name, answer.clockMs - atMs);
    }
    const off = [...skews].filter(([, ms]) => Math.abs(ms) > SKEW_MS_MAX);
    if (off.length === 0) return [];
    const [[, first]] = off;
    const isOwn = skews.size > 1 && off.length === skews.size && off.every(([, ms]) => ms > 0 === first > 0);
    if (!isOwn)
      return off.map(([name, ms]) => finding(`the clock of ${name} is ${words(ms)} that of this host`, name));
    return [
      finding(
        `the clock of this host is ${words(-first)} those of all ${off.length} backends that answer`,
        'this host',
      ),
    ];
  },
};

function words(ms: number): string {
  return `${formatDuration(Math.round(Math.abs(ms) / 1_000) * 1_000)} ${ms > 0 ? 'ahead of' : 'behind'}`;
}

function finding(saw: string, where: string): Finding {
  return {
    level: 'warning',
    saw: `${saw} (the date of GET /report)`,
    breaks:
      'Times in logs, status and events of the fleet do not line up, and certificates count as expired or not yet valid.',
    mend: `on ${where}: timedatectl set-ntp true; timedatectl`,
  };
}
