/**
 * A proxy host of its own whose upstreams have sources of servers: it asks them itself, and changes its config by a reload, which HAProxy
 * judges first. What it lays the servers over is the text that is in force, not the file as it is by now: somebody may be at work on it.
 */
import type { DiscoveryStatus } from '../api/status.js';
import { type FoundGroups, withFound } from '../config/edit/found.js';
import type { L7Upstream } from '../config/l7/types.js';
import type { LoadedConfig } from '../config/types.js';
import { Discovery } from '../discover/discovery.js';
import { DrainTimes } from '../discover/drain-times.js';
import { type Group, groupsOf } from '../discover/groups.js';
import { RecentStates } from '../discover/recent.js';
import type { TierActions } from '../l7/run.js';
import { type FoundPlace, keepInForce } from './discover-own.js';
import { type L7PlaceOptions, loadL7WithText, parseL7 } from './l7-place.js';

export class ProxyDiscovery {
  readonly #options: L7PlaceOptions;
  readonly #place: FoundPlace;
  readonly #texts = new WeakMap<LoadedConfig<'l7'>, string>();
  readonly #drains = new DrainTimes();
  #discovery: Discovery | undefined;

  constructor(options: L7PlaceOptions, place: FoundPlace) {
    this.#options = options;
    this.#place = place;
  }

  /** The config of the file. @throws ConfigError */
  load(): LoadedConfig<'l7'> {
    const { config, text } = loadL7WithText(this.#options);
    this.#texts.set(config, text);
    return config;
  }

  status(): readonly DiscoveryStatus[] {
    return this.#discovery?.status ?? [];
  }

  serves(actions: TierActions): void {
    const groups = (): Group[] => {
      const found = groupsOf({ pools: [], l7: actions.config().l7 });
      this.#drains.saw(found);
      return found;
    };
    this.#discovery = new Discovery({
      host: {
        groups,
        isDrained: (group, server) => this.#isDrained(actions, group, server),
        recent: new RecentStates(),
        apply: async (found) => {
          const config = this.#withFound(actions.config(), found);
          await actions.prepare(config);
          await actions.take(() => config);
          await keepInForce(this.#place, { pools: [], l7: config.l7 });
          return [];
        },
      },
      log: this.#place.log,
    });
  }

  async close(): Promise<void> {
    await this.#discovery?.close();
  }

  #withFound(config: LoadedConfig<'l7'>, found: FoundGroups): LoadedConfig<'l7'> {
    const text = withFound(this.#texts.get(config)!, this.#place.file, found);
    const next = parseL7(text, this.#options);
    this.#texts.set(next, text);
    return next;
  }

  /** It serves no request any more; or, where clients may come back to it, its time is over. */
  #isDrained(actions: TierActions, group: Group, server: string): boolean {
    if (this.#drains.isOver(group, server)) return true;
    const since = this.#drains.sinceMs(group, server);
    if (since === undefined || isSticky(actions.config().l7.upstreams, group.name)) return false;
    return actions.sessionsOf({ upstream: group.name, server }, since) === 0;
  }
}

function isSticky(upstreams: readonly L7Upstream[], upstream: string): boolean {
  return upstreams.find(({ name }) => name === upstream)?.stickyCookie !== undefined;
}
