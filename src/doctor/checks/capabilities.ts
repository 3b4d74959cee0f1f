/** What the process may do: of the node that runs, or else of who asks, as whom one would start it. */

import { AGENT_CAPABILITIES } from '../../agent/environment.js';
import { type Capability, missingCapabilities } from '../../core/capability.js';
import type { NodeEngine } from '../../core/engines.js';
import { capabilityHint } from '../../engine/requirements.js';
import { type Check, Unseen } from '../check.js';
import type { Facts } from '../facts.js';

const OF_ENGINE: Readonly<Record<NodeEngine, readonly Capability[]>> = {
  xdp: ['CAP_NET_ADMIN', 'CAP_BPF', 'CAP_PERFMON'],
  af_xdp: ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_BPF', 'CAP_PERFMON'],
  portable: ['CAP_NET_ADMIN', 'CAP_NET_RAW'],
};

export const capabilities: Check = {
  name: 'capabilities',
  where: ['forwarder', 'backend'],
  looks: 'The process has the capabilities that its engine needs.',
  async run(facts) {
    // An agent that has put its program there had what it needs; its process is not known here.
    if (facts.place.where === 'backend' && (await facts.attached()) !== undefined) return [];
    const pid = (await facts.status())?.pid;
    const path = `/proc/${pid ?? 'self'}/status`;
    const status = facts.host.read(path);
    if (status === undefined) throw new Unseen(`${path} cannot be read`);
    const needed = await neededBy(facts);
    const missing = missingCapabilities(needed, status);
    if (missing.length === 0) return [];
    return [
      {
        level: 'error',
        saw: `${pid === undefined ? 'this process' : `process ${pid}`} lacks ${missing.join(', ')} (${path}, CapEff)`,
        breaks: pid === undefined ? 'It could not start here as this user.' : 'What needs them fails.',
        mend: capabilityHint(needed),
      },
    ];
  },
};

async function neededBy(facts: Facts): Promise<readonly Capability[]> {
  if (facts.place.where === 'forwarder') return OF_ENGINE[await facts.engine()];
  return (await facts.usesXdp()) ? AGENT_CAPABILITIES : [];
}
