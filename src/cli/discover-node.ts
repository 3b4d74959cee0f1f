/** A node of its own whose pools have sources of backends: it asks them itself, and changes itself by its ordinary queue. */
import type { DiscoveryStatus } from '../api/status.js';
import { Discovery } from '../discover/discovery.js';
import { groupsOf } from '../discover/groups.js';
import { RecentStates } from '../discover/recent.js';
import type { ConfigChanges } from '../node/config-changes.js';
import type { NodeDiscovery } from '../node/run.js';
import type { RuntimeEdits } from '../node/runtime-edits.js';
import { type FoundPlace, keepInForce } from './discover-own.js';

export interface LoneDiscoveryOptions {
  readonly edits: RuntimeEdits;
  readonly place: FoundPlace;
}

export class LoneDiscovery implements NodeDiscovery {
  readonly #options: LoneDiscoveryOptions;
  #discovery: Discovery | undefined;

  constructor(options: LoneDiscoveryOptions) {
    this.#options = options;
  }

  readonly status = (): readonly DiscoveryStatus[] => this.#discovery?.status ?? [];

  readonly serves = (actions: ConfigChanges): void => {
    const { edits, place } = this.#options;
    this.#discovery = new Discovery({
      host: {
        groups: () => groupsOf(actions),
        isDrained: ({ name }, backend) => actions.isDrained(name, backend),
        idHolders: ({ name }) => actions.idHolders(name),
        recent: new RecentStates(),
        apply: async (found, changes) => {
          const waits = await actions.discover(() => edits.withFound(found), changes.join('; '));
          if (waits.length === 0) await keepInForce(place, actions);
          return waits;
        },
      },
      log: place.log,
    });
  };

  readonly close = async (): Promise<void> => {
    await this.#discovery?.close();
  };
}
