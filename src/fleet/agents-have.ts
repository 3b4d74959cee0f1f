/** Agents and proxy hosts before forwarders: a backend that is new is sent packets only when it takes them. */
import { MEMBERS, NODES } from './places.js';
import type { Revision } from './record.js';
import { readMember } from './said.js';
import type { Store } from './store.js';

/** Of members that switch before forwarders. */
const BEFORE_FORWARDERS = ['agent/', 'l7/'];
/** How long forwarders wait until all of them have switched. */
export const AGENTS_MS = 10_000;

/**
 * Resolves when all of them that answer have a revision or have said that they cannot take it, or when that takes too long.
 * @returns those that answer and do not have it: packets for a backend that is new there are lost
 * @throws AnyhopError ERR_STORE
 */
export async function agentsBehind(store: Store, { number, without }: Revision): Promise<string[]> {
  const listed = [...(await store.read(...BEFORE_FORWARDERS.map((role) => MEMBERS + role))).entries.keys()]
    .map((place) => place.slice(MEMBERS.length))
    .filter((place) => !without.includes(place));
  if (listed.length === 0) return [];
  let behind: string[] = listed;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => end(), AGENTS_MS);
    const stop = store.follow(NODES, AGENTS_MS, ({ entries }) => {
      const said = listed.map((place) => ({ place, said: readMember(entries.get(NODES + place)?.value) }));
      behind = said.flatMap((one) => ((one.said?.active ?? number) < number ? [one.place] : []));
      const isWaiting = said.some(
        (one) => behind.includes(one.place) && one.said?.refused?.number !== number,
      );
      if (!isWaiting) end();
    });
    function end(): void {
      clearTimeout(timer);
      stop();
      resolve();
    }
  });
  return behind;
}
