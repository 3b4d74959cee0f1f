/**
 * What an operator cannot do on a forwarder to a drain that the backend's own host asks for: end it, or drop it while it waits. The host
 * is about to stop, and would be sent flows that nobody serves there.
 */
import { ControlError } from '../api/api.js';
import { listed } from '../core/listed.js';
import { drainSources } from '../pool/agent-drain.js';
import type { Membership } from '../pool/membership.js';
import type { OverridePatch } from '../pool/override.js';

const NAMED = { most: 5 };

/**
 * An undrain is refused where nothing but the agent asks for the drain. What the file or another command says as well is taken back.
 * @param names of the pools that are meant, which all have the backend
 * @throws ControlError 409
 */
export function refuseUndrain(names: readonly string[], backend: string, pools: Membership): void {
  if (!names.every((name) => drainSources(pools.get(name)!, backend).join() === 'agent')) return;
  throw new ControlError(409, 'ERR_ASKED_BY_AGENT', `the agent of ${backend} asks for its drain`, {
    hint: 'Undrain it on its host: anyhop agent --undrain',
  });
}

/** Warnings of an undrain that leaves the drain in force. */
export function goesOnDraining(
  names: readonly string[],
  backend: string,
  { state }: OverridePatch,
  after: Membership,
): string[] {
  if (state !== 'active') return [];
  return names
    .filter((name) => drainSources(after.get(name)!, backend).includes('agent'))
    .map((name) => `pool ${name}: ${backend} goes on draining, because its agent asks for it`);
}

/** Why a change that waits cannot be cancelled. @param backends whose agents ask for all of it */
export function stepOfAgents(id: string, backends: readonly string[]): ControlError {
  const [agents, hosts] = backends.length === 1 ? ['the agent', 'its host'] : ['the agents', 'their hosts'];
  return new ControlError(
    409,
    'ERR_ASKED_BY_AGENT',
    `${agents} of ${listed(backends, NAMED)} asked for ${id}`,
    {
      hint: `Take it back on ${hosts}: anyhop agent --undrain, or --drain for the end of a drain.`,
    },
  );
}
