/** Nodes with different secrets send nearly every flow to different backends. */

import { keyFingerprint } from '../../config/key-fingerprint.js';
import { L } from '../../core/layout.gen.js';
import type { Check, Finding } from '../check.js';

export const key: Check = {
  name: 'key',
  where: ['forwarder'],
  looks: 'The node runs by the secret that is in its file, and by the flow hash of this version.',
  async run({ status, node, place }) {
    const found = await status();
    if (found === undefined) return [];
    const findings: Finding[] = [];
    const own = keyFingerprint(node.key.reveal());
    if (found.keyFingerprint !== own) {
      findings.push({
        level: 'error',
        saw: `the secret in ${place.config.file} has the fingerprint ${own}, and that of the node ${found.keyFingerprint} (anyhop status --json)`,
        breaks:
          'Nodes that read the file later send nearly every flow to another backend than this one does.',
        mend: 'put the same key in the file of every node; a new one comes into force by a restart, and breaks connections',
      });
    }
    if (found.flowHashVersion !== L.FLOW_HASH_VERSION) {
      findings.push({
        level: 'warning',
        saw: `the node runs with version ${found.flowHashVersion} of the flow hash, and this program has ${L.FLOW_HASH_VERSION} (anyhop status --json)`,
        breaks: 'A node of the other version sends nearly every flow to another backend.',
        mend: 'run one version of anyhop on all nodes; see "Upgrades" in docs/changing-a-fleet.md',
      });
    }
    return findings;
  },
};
