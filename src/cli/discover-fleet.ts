/**
 * A forwarder whose fleet has pools or upstreams with sources. One of those whose keys the operator has listed is elected, asks the sources, and
 * puts what they say in force as a revision that it signs itself.
 */
import { join } from 'node:path';
import type { DiscoveryStatus } from '../api/status.js';
import { type FoundGroups, mentionsDiscovery, withFound } from '../config/edit/found.js';
import type { FleetConfig } from '../config/fleet/types.js';
import { parseConfig } from '../config/load.js';
import { makeDirectory } from '../core/directory.js';
import { FLEET_FOUND_PRUNED_EVERY, FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { reasonOf } from '../core/reason.js';
import { Discovery, statusOf } from '../discover/discovery.js';
import { DrainTimes } from '../discover/drain-times.js';
import { type Group, groupsOf } from '../discover/groups.js';
import { sourceOf } from '../discover/sources/sources.js';
import { apply, WouldWait } from '../fleet/apply.js';
import { fleetDigest } from '../fleet/digest.js';
import { Election } from '../fleet/election.js';
import { nodeKey, type SigningKey } from '../fleet/keys.js';
import type { FleetMember } from '../fleet/member.js';
import { prune } from '../fleet/prune.js';
import { digestOfText, type NodeRevision, peeked } from '../fleet/record.js';
import { groupsIn } from '../fleet/records.js';
import type { SaidOfSources } from '../fleet/said.js';
import { type FleetStore, isStoreFault } from '../fleet/store.js';
import { readFleetView } from '../fleet/view.js';
import type { ConfigChanges } from '../node/config-changes.js';
import type { NodeDiscovery } from '../node/run.js';

const DIRECTORY_MODE = 0o700;
const LOOK_MS = 1_000;
/** Between two nodes that ask, nobody does for some seconds. */
const VACANT_MS = 20_000;
const NOBODY =
  'no node asks it: none whose key is in discover.keys is there; `anyhop fleet status` prints the lines that are missing';
/** Lines of what a revision changes that its record keeps. */
const CHANGES_MAX = 50;

export interface FleetDiscoveryOptions {
  readonly fleet: FleetConfig;
  readonly node: string;
  /** For its key. */
  readonly directory: string;
  readonly store: FleetStore;
  readonly member: FleetMember;
  readonly log: Logger;
}

export class FleetDiscovery implements NodeDiscovery {
  readonly #options: FleetDiscoveryOptions;
  readonly #stop = new AbortController();
  #actions: ConfigChanges | undefined;
  #key: SigningKey | undefined;
  #hasTriedKey = false;
  #election: Election | undefined;
  #discovery: Discovery | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #drains = new DrainTimes();
  /** Upstreams of the text in force, which are read once. */
  #upstreams: { readonly text: string; readonly groups: readonly Group[] } | undefined;

  constructor(options: FleetDiscoveryOptions) {
    this.#options = options;
  }

  readonly status = (): readonly DiscoveryStatus[] => this.#discovery?.status ?? this.#vacancy();

  /** The public half of the key of this node, once there is a source for it. */
  get publicKey(): string | undefined {
    return this.#key?.publicBytes.toString('base64');
  }

  readonly serves = (actions: ConfigChanges): void => {
    this.#actions = actions;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    this.#look();
  };

  readonly close = async (): Promise<void> => {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#discovery?.close();
    await this.#election?.close();
  };

  #look(): void {
    if (this.#groups().length === 0) {
      void this.#election?.look();
      return;
    }
    this.#drains.saw(this.#groups());
    this.#makeKey();
    const { store, node } = this.#options;
    this.#election ??= new Election({
      store,
      node,
      mayStand: () => this.#mayStand(),
      changed: (isElected) => this.#elected(isElected),
    });
    void this.#election.look();
    const said: SaidOfSources = { node, pools: (this.#discovery?.status ?? []) as SaidOfSources['pools'] };
    void this.#election.tell(JSON.stringify(said));
  }

  /** What every node says when none asks: the operator has listed no key, or those nodes are gone. */
  #vacancy(): DiscoveryStatus[] {
    const since = this.#election?.vacantSince;
    if (since === undefined || Date.now() - since.getTime() < VACANT_MS) return [];
    const alarm = { kind: 'nobody', text: NOBODY, since: since.toISOString() };
    return this.#groups().map(({ key, kind, from }) => ({
      ...statusOf(key, { words: sourceOf(kind, from).words, answeredAt: undefined, found: undefined }),
      alarm,
    }));
  }

  /** Pools as they are in force on this node; upstreams, which no forwarder uses, as in the revision that is. */
  #groups(): Group[] {
    const text = this.#options.member.inForce?.text ?? '';
    if (this.#upstreams?.text !== text) {
      const groups = mentionsDiscovery(text) ? groupsIn(text) : [];
      this.#upstreams = { text, groups: groups.filter(({ kind }) => kind === 'upstream') };
    }
    return [...groupsOf({ pools: this.#actions!.pools }), ...this.#upstreams.groups];
  }

  /** The drain of a server is done when its time is over: what connections it has, only proxy hosts know. */
  #isDrained(group: Group, member: string): boolean {
    return group.kind === 'pool'
      ? this.#actions!.isDrained(group.name, member)
      : this.#drains.isOver(group, member);
  }

  #makeKey(): void {
    if (this.#hasTriedKey) return;
    this.#hasTriedKey = true;
    const { directory, node, log } = this.#options;
    try {
      requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
      makeDirectory(directory, DIRECTORY_MODE);
      this.#key = nodeKey(join(directory, `${node}-discover.key`));
    } catch (error) {
      const why = reasonOf(error);
      log.error({ event: 'discovery_key', why }, `this node cannot put in force what it finds: ${why}`);
    }
  }

  /** Whether the operator has listed the key of this node. */
  #mayStand(): boolean {
    if (this.#key === undefined || this.#groups().length === 0) return false;
    const listed = this.#actions!.discoverers.get(this.#options.node);
    return listed !== undefined && this.#key.publicBytes.equals(listed);
  }

  #elected(isElected: boolean): void {
    const { log, member } = this.#options;
    void this.#discovery?.close();
    this.#discovery = undefined;
    if (!isElected || this.#stop.signal.aborted) return;
    log.info({ event: 'discovery_elected' }, 'this node asks the sources for its fleet');
    this.#discovery = new Discovery({
      host: {
        groups: () => this.#groups(),
        isDrained: (group, backend) => this.#isDrained(group, backend),
        idHolders: ({ kind, name }) => (kind === 'pool' ? this.#actions!.idHolders(name) : undefined),
        recent: member.recent,
        apply: (found, changes) => this.#apply(found, changes),
      },
      log,
    });
  }

  async #apply(found: FoundGroups, changes: readonly string[]): Promise<readonly string[]> {
    const { fleet, node, store, member } = this.#options;
    const inForce = member.inForce;
    if (inForce === undefined) return ['nothing is in force yet'];
    const text = withFound(inForce.text, `revision ${inForce.number}`, found);
    const config = parseConfig(text, 'what was found', { role: 'pools' });
    const here = this.#actions!.wouldWait(config.pools);
    if (here.length > 0) return here;
    const view = await readFleetView(store, fleet);
    if (view.intent !== undefined)
      return [`revision ${view.intent.number} by ${view.intent.by} is being prepared`];
    if (view.record !== inForce.record) return ['this node has not the revision of the fleet'];
    try {
      const { revision } = await apply(
        store,
        view,
        {
          text,
          digest: fleetDigest(config),
          by: node,
          message: 'found by discovery',
          force: false,
          without: [],
          changes: changes.slice(0, CHANGES_MAX).map((each) => each.slice(0, FLEET_MESSAGE_CHARS_MAX)),
        },
        {
          fleet,
          key: this.#key!,
          node: { name: node, base: baseOf(inForce.record) },
          signal: this.#stop.signal,
          progress: () => undefined,
        },
      );
      if (revision.number % FLEET_FOUND_PRUNED_EVERY === 0) await prune(store).catch(unlessStoreFault);
      return [];
    } catch (error) {
      if (error instanceof WouldWait) return error.waits;
      if (isStoreFault(error)) return ['the store does not answer'];
      throw error;
    }
  }
}

/** A store that does not answer says so by itself; the next one tries again. */
function unlessStoreFault(error: unknown): void {
  if (!isStoreFault(error)) throw error;
}

/** The operator's revision that a record is, or stands upon. */
function baseOf(record: string): NodeRevision['base'] {
  const { number, base } = peeked(record);
  return base ?? { number, record: digestOfText(record) };
}
