/** What XDP programs need of the kernel as it was booted. */

import { release } from 'node:os';
import { AnyhopError } from '../../core/errors.js';
import { requireKernel } from '../../engine/requirements.js';
import type { Check, Finding } from '../check.js';

export const kernel: Check = {
  name: 'kernel',
  where: ['forwarder', 'backend'],
  looks:
    'The kernel is new enough, compiles BPF programs, and has no nohz_full processors where the engine needs a membarrier.',
  async run(facts) {
    if (!(await facts.usesXdp())) return [];
    const findings: Finding[] = [];
    const isForwarder = facts.place.where === 'forwarder';
    const version = facts.host.read('/proc/sys/kernel/osrelease') ?? release();
    try {
      requireKernel('xdp', version);
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      findings.push({
        level: 'error',
        saw: `${error.message} (/proc/sys/kernel/osrelease)`,
        breaks: 'No XDP program can be attached by a link.',
        mend: isForwarder ? 'node.engine: portable, or a newer kernel' : 'a newer kernel',
      });
    }
    const full = facts.host.read('/sys/devices/system/cpu/nohz_full') ?? '';
    if (isForwarder && /^\d/.test(full)) {
      findings.push({
        level: 'error',
        saw: `nohz_full processors: ${full} (/sys/devices/system/cpu/nohz_full)`,
        breaks:
          'Such a kernel has no global membarrier, by which the XDP engines change tables: they cannot start.',
        mend: 'take nohz_full= out of the kernel command line (/etc/default/grub, then update-grub and reboot), or node.engine: portable',
      });
    }
    if (facts.sysctl('net/core/bpf_jit_enable') === 0) {
      findings.push({
        level: 'warning',
        saw: 'the BPF JIT is off (/proc/sys/net/core/bpf_jit_enable)',
        breaks: 'Every packet costs several times as much.',
        mend: 'sysctl -w net.core.bpf_jit_enable=1',
      });
    }
    return findings;
  },
};
