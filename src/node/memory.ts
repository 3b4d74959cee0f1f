/** What a node takes over from a process before it, as far as it is of use. */
import type { LoadedConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';
import type { PoolMemory } from '../pool/membership.js';

/**
 * Leaves out pools with members of a family that the node no longer has a source for. Nothing could be sent to them, and the change
 * to what the file wants would wait.
 */
export function withSources(
  memory: ReadonlyMap<string, PoolMemory>,
  { source4, source6 }: LoadedConfig<'run'>['node'],
  log: Logger,
): ReadonlyMap<string, PoolMemory> {
  const isReached = ({ family }: IpAddress): boolean => (family === 6 ? source6 : source4) !== undefined;
  return new Map(
    [...memory].filter(([pool, { changes }]) => {
      const lists = [changes, ...changes.queue].map(({ members }) => members);
      const stray = lists.flat().find(({ address }) => !isReached(address));
      if (stray === undefined) return true;
      log.warn(
        { event: 'memory_unused', pool, backend: stray.name, address: stray.address.text },
        `what is remembered of the pool ${pool} is not used: ${stray.name} had the address ${stray.address.text}, and node.source ` +
          'has none of its family any more',
      );
      return false;
    }),
  );
}
