/** What is pinned in a BPF file system outlives the process. */
import type { Check } from '../check.js';

export const bpffs: Check = {
  name: 'bpffs',
  where: ['forwarder', 'backend'],
  looks: 'A BPF file system is mounted where the program is to be pinned.',
  async run(facts) {
    const { config, where } = facts.place;
    if (!(await facts.usesXdp())) return [];
    const isForwarder = where === 'forwarder';
    if (isForwarder && (await facts.engine()) !== 'xdp') return [];
    const path = isForwarder ? facts.node.bpffs : config.agent!.bpffs;
    if (facts.host.isBpffs(path)) return [];
    return [
      {
        level: isForwarder ? 'error' : 'warning',
        saw: `no BPF file system is mounted at ${path} (${isForwarder ? 'node' : 'agent'}.bpffs; /proc/self/mounts)`,
        breaks: isForwarder
          ? 'The engine xdp cannot start, unless root starts it and the path is the usual one, which it then mounts.'
          : 'The program outlives the agent, but the next agent counts from zero and needs CAP_SYS_ADMIN to replace it.',
        mend: `mkdir -p ${path} && mount -t bpf bpf ${path}`,
      },
    ];
  },
};
