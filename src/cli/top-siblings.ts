/** The siblings of a node, as `anyhop top --siblings` asks them: at their dashboards, as these ask one another. */
import { Agent } from 'node:https';
import { loadConfig } from '../config/load.js';
import { credentialsOf } from '../config/metrics/types.js';
import { AnyhopError } from '../core/errors.js';
import { sibling } from '../dashboard/asked-node.js';
import type { Asked } from '../top/watcher.js';

/**
 * @throws ConfigError for a file that is wrong, or whose certificate cannot be read; AnyhopError ERR_USAGE for one without siblings
 */
export function siblingsIn(file: string): Asked[] {
  const { metrics, siblings } = loadConfig(file, { role: 'siblings' }).node;
  if (siblings.length === 0)
    throw new AnyhopError('ERR_USAGE', `${file} names no siblings of this node`, {
      hint: 'List the other forwarders in node.siblings, with names and addresses: see docs/reference/config.md.',
    });
  const own = credentialsOf(metrics ?? { tls: undefined, login: undefined });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return siblings.map(({ name, address: { address, port } }) => {
    const asked = sibling({ name, host: address.text, port }, own, agent);
    return { label: name, ask: async () => JSON.parse((await asked()).status) };
  });
}
