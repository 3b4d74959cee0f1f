/** Nodes that decide differently send a flow elsewhere as soon as a router sends it to another of them. */

import type { NodeStatus } from '../../api/status.js';
import { formatEndpoint } from '../../config/endpoint.js';
import { keyFingerprint } from '../../config/key-fingerprint.js';
import type { SiblingConfig } from '../../config/metrics/types.js';
import { printable } from '../../core/printable.js';
import { reasonWithPlace } from '../../core/reason.js';
import { askTls } from '../../dashboard/ask.js';
import { NODE_PATH } from '../../dashboard/asked-node.js';
import { asStatus } from '../../view/shape.js';
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';

const BOUNDS = { timeoutMs: 2_500, bytesMax: 16 * 1024 * 1024 };

export const siblings: Check = {
  name: 'siblings',
  where: ['forwarder'],
  looks:
    'The nodes of node.siblings answer, and have the same secret, the same version and the same owners as this one.',
  async run(facts) {
    const own = await facts.status();
    const found = await Promise.all(
      facts.node.siblings.map(async (sibling): Promise<Finding[]> => {
        try {
          return differing(facts, sibling.name, own, await ask(facts, sibling));
        } catch (error) {
          return [
            {
              level: 'warning',
              saw: `the sibling ${sibling.name} at ${formatEndpoint(sibling.address)} does not answer: ${reasonWithPlace(error)}`,
              breaks:
                'Whether it decides as this node does is not known, and the dashboard shows it as silent.',
              mend: `on ${sibling.name}: anyhop doctor; its node.metrics has a listen address that this host reaches, a certificate for ${sibling.name}, and the same ca_file`,
            },
          ];
        }
      }),
    );
    return found.flat();
  },
};

/** Over mutual TLS, as a dashboard asks. @throws Error of the system or of TLS; AnyhopError when it is no status */
async function ask(
  { node }: Facts,
  { name, address: { address, port } }: SiblingConfig,
): Promise<NodeStatus> {
  const { certificate, authorities } = node.metrics?.tls ?? {};
  const own = certificate && Buffer.from(certificate.reveal());
  const text = await askTls(
    {
      host: address.text,
      port,
      path: NODE_PATH,
      servername: name,
      agent: false,
      ...(own && { cert: own, key: own }),
      ...(authorities && { ca: Buffer.from(authorities.reveal()) }),
    },
    BOUNDS,
  );
  const [status = ''] = text.split('\n', 1); // events follow
  return asStatus(JSON.parse(status));
}

function differing({ node }: Facts, name: string, own: NodeStatus | undefined, other: NodeStatus): Finding[] {
  if (other.keyFingerprint !== (own?.keyFingerprint ?? keyFingerprint(node.key.reveal()))) {
    return [
      {
        level: 'error',
        saw: `the sibling ${name} has another secret than this node (keyFingerprint of anyhop status --json)`,
        breaks:
          'A flow that a router sends to the other node gets another backend: connections break whenever routers choose anew.',
        mend: 'put the same key in the file of every node (node.key_file), then restart the node whose key was wrong',
      },
    ];
  }
  if (own === undefined) return [];
  const findings: Finding[] = [];
  if (other.flowHashVersion !== own.flowHashVersion) {
    findings.push({
      level: 'error',
      saw: `the sibling ${name} has version ${other.flowHashVersion} of the flow hash, and this node ${own.flowHashVersion} (anyhop status)`,
      breaks: 'A flow that a router sends to the other node gets another backend.',
      mend: 'run one version of anyhop on all nodes',
    });
  } else if (other.version !== own.version) {
    findings.push({
      level: 'note',
      saw: `the sibling ${name} runs version ${printable(other.version)}, and this node ${own.version} (anyhop status)`,
      breaks: 'Nothing by itself; a fleet should not stay so.',
      mend: 'run one version of anyhop on all nodes',
    });
  }
  const theirs = new Map(other.pools.map((pool) => [pool.name, pool.digests.owners]));
  const pools = own.pools
    .filter((pool) => theirs.get(pool.name) !== pool.digests.owners)
    .map((pool) => pool.name);
  if (pools.length > 0) {
    findings.push({
      level: 'warning',
      saw: `the sibling ${name} has other owners in ${pools.join(', ')} (digests of anyhop status)`,
      breaks:
        'Some flows that a router sends to the other node get another backend. For a moment after each change, that is as it should be.',
      mend: `if it stays so: anyhop diff, with the answers of "anyhop status --json" on both`,
    });
  }
  return findings;
}
