/** Hosts of a fleet whose clocks differ: agents tell the time as they answer. */
import { AnyhopError } from '../../core/errors.js';
import { formatDuration } from '../../core/time.js';
import type { Check } from '../check.js';

/** Agents tell whole seconds, and the answer takes a moment. */
const SKEW_MS_MAX = 3_000;

export const clock: Check = {
  name: 'clock',
  where: ['forwarder'],
  looks: 'The clocks of the backends and of this host agree to three seconds.',
  async run(facts) {
    const skews = (await facts.agents()).flatMap(({ target, answer, atMs }) =>
      answer instanceof AnyhopError || answer.clockMs === undefined
        ? []
        : [{ target, ms: answer.clockMs - atMs }],
    );
    const off = skews.filter(({ ms }) => Math.abs(ms) > SKEW_MS_MAX);
    if (off.length === 0) return [];
    const breaks =
      'Times in logs, status and events of the fleet do not line up, and certificates count as expired or not yet valid.';
    const mend = (where: string): string => `on ${where}: timedatectl set-ntp true; timedatectl`;
    const isOwn =
      off.length === skews.length && skews.length > 1 && off.every(({ ms }) => ms > 0 === off[0].ms > 0);
    if (isOwn) {
      const [{ ms }] = off;
      return [
        {
          level: 'warning',
          saw: `the clock of this host is ${formatDuration(Math.abs(ms))} ${ms > 0 ? 'behind' : 'ahead of'} those of all ${off.length} backends that answer`,
          breaks,
          mend: mend('this host'),
        },
      ];
    }
    return off.map(({ target: { pool, name }, ms }) => ({
      level: 'warning' as const,
      saw: `the clock of ${pool}/${name} is ${formatDuration(Math.abs(ms))} ${ms > 0 ? 'ahead of' : 'behind'} that of this host`,
      breaks,
      mend: mend(name),
    }));
  },
};
