/** The packet memory of the engine af_xdp is locked, and counts against a limit unless the process has CAP_IPC_LOCK. */

import { missingCapabilities } from '../../core/capability.js';
import { AnyhopError } from '../../core/errors.js';
import { FRAMES_PER_QUEUE, requireLockedMemory } from '../../engine/af_xdp/requirements.js';
import type { Check } from '../check.js';

/** Of a frame at most: a page. */
const FRAME_BYTES = 4096;

export const lockedMemory: Check = {
  name: 'locked-memory',
  where: ['forwarder'],
  looks:
    'With the engine af_xdp, the process may lock its packet memory: CAP_IPC_LOCK, or a high limit of locked memory.',
  async run(facts) {
    if ((await facts.engine()) !== 'af_xdp') return [];
    const pid = (await facts.status())?.pid ?? 'self';
    const status = facts.host.read(`/proc/${pid}/status`) ?? '';
    if (missingCapabilities(['CAP_IPC_LOCK'], status).length === 0) return [];
    const queues = facts.host
      .list(`/sys/class/net/${facts.place.interface}/queues`)
      .filter((name) => name.startsWith('rx-'));
    try {
      requireLockedMemory(
        queues.length * FRAMES_PER_QUEUE * FRAME_BYTES,
        facts.host.read(`/proc/${pid}/limits`),
      );
      return [];
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      return [
        {
          level: 'error',
          saw: `${error.message} (/proc/${pid}/limits)`,
          breaks: 'The engine af_xdp cannot start.',
          mend: 'LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited',
        },
      ];
    }
  },
};
