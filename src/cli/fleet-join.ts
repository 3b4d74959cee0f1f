/** A process that is in a fleet: what it starts with, and how it follows. Without the section fleet nothing here is loaded. */
import { hostname } from 'node:os';
import { ControlError } from '../api/api.js';
import { formatProblem } from '../config/error.js';
import { keepRevision, keptRevision, revisionDirectory } from '../config/fleet/kept.js';
import { loadConfig, type RevisionText } from '../config/load.js';
import type { Config } from '../config/types.js';
import { AnyhopError, isSystemError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { StoreClient } from '../fleet/client.js';
import { fleetDigest } from '../fleet/digest.js';
import type { Follower, Prepared } from '../fleet/follower.js';
import { HealthViews } from '../fleet/health-views.js';
import { FleetMember } from '../fleet/member.js';
import type { MemberRole } from '../fleet/said.js';
import type { AskedSibling } from '../fleet/siblings.js';
import { FleetStore } from '../fleet/store.js';
import { FleetDiscovery } from './discover-fleet.js';

/** How long a start waits for the store before it goes by what was last in force. */
const FIRST_MS = 3_000;
const END_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface JoinOptions {
  readonly role: MemberRole;
  /** The host's own file. */
  readonly file: string;
  readonly name: string | undefined;
  readonly stateDir: string | undefined;
  /** The config of a revision as this host reads it. @throws AnyhopError */
  readonly read: (revision: RevisionText) => Config;
  /** Whether a revision has anything for this host; when left out, each has. */
  readonly concerns?: (revision: RevisionText) => boolean;
  /** Who is asked while the store is away. @throws AnyhopError */
  readonly siblings?: (revision: RevisionText) => readonly AskedSibling[];
  readonly log: Logger;
}

export interface Joined {
  readonly member: FleetMember;
  readonly first: RevisionText;
  /** Of a node that goes by what the nodes of its fleet see together. */
  readonly views: HealthViews | undefined;
  readonly discovery: FleetDiscovery;
}

/** @throws AnyhopError ERR_CONFIG when the section fleet is wrong */
export async function join({
  role,
  file,
  name,
  stateDir,
  read,
  concerns = () => true,
  siblings = () => [],
  log,
}: JoinOptions): Promise<Joined> {
  const load = () => loadConfig(file, { role: 'fleet', overrides: { name } });
  const { fleet, place } = load();
  const directory = revisionDirectory(file, stateDir);
  const holder = role === 'l7' ? 'l7' : 'host';
  const store = new FleetStore(fleet, log, new StoreClient(fleet, () => load().fleet));
  const nameHere = place?.node ?? hostname();
  const member = new FleetMember({
    fleet,
    role,
    name: nameHere,
    kept: keptRevision(file, directory, holder),
    keep: (revision) => keepRevision(file, revision, directory, holder),
    store,
    prepare: async (_, text) => told(async () => ({ digest: fleetDigest(read(text)), waits: [] })),
    concerns,
    siblings,
    log,
  });
  const views =
    role === 'forwarder' && fleet.views === 'quorum' ? new HealthViews(store, nameHere) : undefined;
  const discovery = new FleetDiscovery({ fleet, node: nameHere, directory, store, member, log });
  return { member, first: await firstOf(member), views, discovery };
}

/** A signal that ends it meanwhile takes its word out of the store first. */
async function firstOf(member: FleetMember): Promise<RevisionText> {
  const end = (signal: NodeJS.Signals): void => {
    void member.close().finally(() => process.kill(process.pid, signal));
  };
  for (const signal of END_SIGNALS) process.once(signal, end);
  try {
    return await member.first(FIRST_MS);
  } finally {
    for (const signal of END_SIGNALS) process.off(signal, end);
  }
}

/** Configs of revisions as this host reads them. 1,000 backends take 200 ms, so what was prepared is not read again to be activated. */
export class RevisionReader<T> {
  readonly #read: (revision: RevisionText) => T;
  #last: { readonly revision: RevisionText; readonly value: T } | undefined;

  constructor(read: (revision: RevisionText) => T) {
    this.#read = read;
  }

  /** With the host's own file as it is now. @throws AnyhopError */
  anew(revision: RevisionText): T {
    const value = this.#read(revision);
    this.#last = { revision, value };
    return value;
  }

  /** As it was read last, if that was the last one. @throws AnyhopError */
  again(revision: RevisionText): T {
    const { revision: known, value } = this.#last ?? {};
    const isKnown = known?.number === revision.number && known.text === revision.text;
    return isKnown ? (value as T) : this.anew(revision);
  }

  /** What was read is not needed any more. */
  forget(): void {
    this.#last = undefined;
  }
}

/** What a follower does, with errors that the fleet can be told. */
export function telling({ prepare, activate, recall, ...others }: Follower): Follower {
  return {
    ...others,
    ...(recall && { recall: (...what): Promise<void> => told(() => recall(...what)) }),
    prepare: (...what): Promise<Prepared> => told(() => prepare(...what)),
    activate: (...what): Promise<void> => told(() => activate(...what)),
  };
}

/** @throws AnyhopError for whatever may be wrong with a config, or this host */
async function told<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof AnyhopError) throw error;
    if (error instanceof ControlError) {
      const { message, problems = [] } = error;
      throw new AnyhopError('ERR_FLEET', [message, ...problems.map(formatProblem)].join('\n'));
    }
    if (isSystemError(error)) throw new AnyhopError('ERR_FLEET', error.message);
    throw error;
  }
}
