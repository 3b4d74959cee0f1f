/** Whether something on this host unwraps what the forwarders send, and who is in charge of it. */

import { AGENT_PROGRAM } from '../../agent/program.js';
import { fetchAgentReport } from '../../agent/report.js';
import { AnyhopError } from '../../core/errors.js';
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';

const REPORT_MS = 2_000;

export const agent: Check = {
  name: 'agent',
  where: ['backend'],
  looks: 'The program of an agent is on the interface, in the driver, and its process runs.',
  async run(facts) {
    if (!(await facts.usesXdp())) return [];
    const { interface: name, config } = facts.place;
    const attached = await facts.attached();
    const start = `anyhop agent -c ${config.file} --interface ${name}`;
    if (attached === undefined) {
      return [
        {
          level: 'error',
          saw: `no XDP program is on ${name} (ip link show dev ${name})`,
          breaks: 'Nothing unwraps GRE from the forwarders: no packet for a VIP arrives.',
          mend: start,
        },
      ];
    }
    // Its name is unknown without CAP_SYS_ADMIN.
    if (attached.name !== undefined && attached.name !== AGENT_PROGRAM) {
      const off = `ip link set dev ${name} ${attached.mode === 'generic' ? 'xdpgeneric' : 'xdp'} off`;
      return [
        {
          level: 'error',
          saw: `another XDP program is on ${name}: ${attached.name} (id ${attached.id}, ${attached.mode})`,
          breaks: 'Nothing unwraps GRE from the forwarders, and no agent can start.',
          mend: `if nothing on this host needs it: ${off} && ${start}`,
        },
      ];
    }
    return await process(facts, start);
  },
};

async function process({ place: { config, targets } }: Facts, start: string): Promise<Finding[]> {
  const port = config.agent!.reportPort;
  const own = targets.find(({ agent: hasAgent }) => hasAgent)!.address.text;
  try {
    await fetchAgentReport(own, port, REPORT_MS);
    return [];
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    return [
      {
        level: 'warning',
        saw: error.message,
        breaks:
          'The program in the kernel still delivers. But drains do not end by themselves, and second chance does not follow changes of the network.',
        mend: start,
      },
    ];
  }
}
