/**
 * Which records are taken: those of the operator, and those of nodes that the operator lets find backends (`discover.keys`).
 *
 * A record of a node is judged by the last record of the operator that it stands upon (`base`), not by the one before it: so however many of
 * them follow each other, none can differ from what the operator signed in anything but
 *
 *   the backends of pools with `backends_from`, at addresses within `allowed_addresses`, and not fewer active ones than `min_backends`;
 *   the servers of upstreams with `servers_from` in the same way
 *
 * and a member that is at the head of the fleet also compares it with what it has had in force within the settle time (`max_remove`). So a
 * node that somebody has captured can change nothing else, and an older config of the operator's cannot be brought back by it.
 */
import { isDeepStrictEqual } from 'node:util';
import { GROUP_KINDS } from '../config/discover/kinds.js';
import { ConfigDocument } from '../config/document.js';
import { groupIn } from '../config/edit/found.js';
import { ConfigError } from '../config/error.js';
import { parseConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/types.js';
import { isAllowed, tooMuch } from '../discover/decide.js';
import { type Group, groupsOf } from '../discover/groups.js';
import type { RecentStates } from '../discover/recent.js';
import { textOf } from './blob.js';
import { revisionPlace } from './places.js';
import {
  BadRecord,
  digestOfText,
  type NodeRevision,
  opened,
  openedOfNode,
  peeked,
  type Revision,
  signerOf,
} from './record.js';
import type { Signer } from './revisions.js';
import type { Store } from './store.js';

export interface RecordsOptions {
  readonly store: Store;
  readonly signer: Signer;
  /** Of a member: what it has in force. Operators have nothing. */
  readonly inForce?: () => InForce | undefined;
}

export interface InForce {
  readonly text: string;
  /** Number of the operator's revision that it is, or stands upon. */
  readonly base: number;
  readonly recent: RecentStates;
  /** How long ago it was at the head of the fleet: what came since it has not seen. */
  readonly awayMs: number;
}

/** A text as far as it is compared. */
interface Parsed {
  readonly config: LoadedConfig<'pools'>;
  readonly value: unknown;
}

interface Base extends Parsed {
  readonly revision: Revision;
}

/** Kept of what was read: the base and its successor, and a few that are being looked at. */
const KEPT_MAX = 4;

export class Records {
  readonly #options: RecordsOptions;
  readonly #bases = new Map<string, Base>();

  constructor(options: RecordsOptions) {
    this.#options = options;
  }

  /** @throws BadRecord when it is not to be taken; AnyhopError ERR_STORE */
  async open(record: string): Promise<Revision> {
    const { signer } = this.#options;
    const node = signerOf(record);
    if (node === undefined) return opened(record, signer.name, signer.operatorKey);
    const base = await this.#baseOf(peeked(record));
    const key = base.config.discoverers.get(node);
    if (key === undefined)
      throw new BadRecord(
        `it is signed by ${node}, which is not among discover.keys of revision ${base.revision.number}`,
      );
    const revision = openedOfNode(record, signer.name, key);
    await this.#judge(revision, base);
    return revision;
  }

  /** The operator's revision that one of a node stands upon. */
  async #baseOf({ base }: Revision): Promise<Base> {
    if (base === undefined)
      throw new BadRecord('it does not say which revision of the operator it stands upon');
    const known = this.#bases.get(base.record);
    if (known !== undefined) return known;
    const { store, signer } = this.#options;
    const record = (await store.get(revisionPlace(base.number)))?.value;
    if (record === undefined || digestOfText(record) !== base.record)
      throw new BadRecord(`revision ${base.number}, which it stands upon, is not in the store`);
    const revision = opened(record, signer.name, signer.operatorKey);
    const found: Base = { revision, ...parsed(await textOf(store, revision)) };
    if (this.#bases.size >= KEPT_MAX) this.#bases.delete(this.#bases.keys().next().value!);
    this.#bases.set(base.record, found);
    return found;
  }

  async #judge(revision: NodeRevision, base: Base): Promise<void> {
    const inForce = this.#options.inForce?.();
    if (inForce !== undefined && revision.base.number < inForce.base)
      throw new BadRecord(
        `it stands upon revision ${revision.base.number}, and the operator has signed ${inForce.base} since`,
      );
    const next = parsed(await textOf(this.#options.store, revision));
    requireOnlyFound(base, next);
    if (inForce !== undefined) requireFew(inForce, next.config);
  }
}

/** @throws BadRecord */
function parsed(text: string): Parsed {
  try {
    const { value, problems } = new ConfigDocument(text, 'its text');
    if (problems.length > 0) throw new ConfigError(problems);
    return { value, config: parseConfig(text, 'its text', { role: 'pools' }) };
  } catch (error) {
    if (error instanceof ConfigError) throw new BadRecord(error.message);
    throw error;
  }
}

/** @throws BadRecord when more has changed than what may be found */
function requireOnlyFound(base: Parsed, next: Parsed): void {
  const found = groupsOf(base.config);
  if (!isDeepStrictEqual(withoutMembers(base.value, found), withoutMembers(next.value, found)))
    throw new BadRecord(
      'a node has signed it, and it changes more than the backends of pools with backends_from and the servers of upstreams with servers_from',
    );
  const after = new Map(groupsOf(next.config).map((group) => [group.key, group]));
  for (const group of found) requireFound(group, after.get(group.key)!);
  requireSameKinds(base.config, next.config);
}

function withoutMembers(value: unknown, groups: readonly Group[]): unknown {
  const copy = structuredClone(value);
  for (const { key, kind } of groups) delete groupIn(copy, key)?.[GROUP_KINDS[kind].list];
  return copy;
}

/** @param was as the operator signed it @throws BadRecord */
function requireFound(was: Group, is: Group): void {
  const { allowedAddresses, least } = was.from;
  const { one, least: field } = GROUP_KINDS[was.kind];
  const before = new Map(was.members.map((each) => [placeOf(each), each]));
  for (const each of is.members) {
    const known = before.get(placeOf(each));
    if (known === undefined && !isAllowed(each.address, allowedAddresses))
      throw wrong(was, `${each.name} (${each.address}) is outside of allowed_addresses`);
    if (known?.state === 'draining' && !known.leaves && each.state === 'active')
      throw wrong(was, `${each.name} does not drain any more, and the operator drains it`);
  }
  if (activeOf(is) < Math.min(least, activeOf(was)))
    throw wrong(was, `${activeOf(is)} active ${one}s are left; ${field} is ${least}`);
}

/** What no source says of a backend. @throws BadRecord */
function requireSameKinds(base: LoadedConfig<'pools'>, next: LoadedConfig<'pools'>): void {
  for (const { name: pool, backends, backendsFrom } of next.pools) {
    if (backendsFrom === undefined) continue;
    const was = base.pools.find(({ name }) => name === pool)?.backends ?? [];
    const before = new Map(was.map((each) => [`${each.name} ${each.address.text}`, each]));
    for (const { name, address, agent, id } of backends) {
      const known = before.get(`${name} ${address.text}`);
      if (known === undefined ? !agent : known.agent !== agent || known.id !== id)
        throw new BadRecord(
          known === undefined
            ? `pool ${pool}: ${name} is without an agent, which no source says`
            : `pool ${pool}: ${name} has another id or agent`,
        );
    }
  }
}

function wrong({ key }: Group, why: string): BadRecord {
  return new BadRecord(`${key}: ${why}`);
}

function placeOf({ name, address, port }: Group['members'][number]): string {
  return `${name} ${address} ${port ?? ''}`;
}

function activeOf({ members }: Group): number {
  return members.filter(({ state }) => state === 'active').length;
}

/** @throws BadRecord when more goes at once than may */
function requireFew({ text, recent, awayMs }: InForce, is: LoadedConfig<'pools'>): void {
  const after = new Map(groupsOf(is).map((group) => [group.key, group]));
  for (const group of groupsIn(text)) {
    const next = after.get(group.key);
    if (next === undefined || awayMs > group.windowMs) continue;
    const excess = tooMuch(group.kind, group.members, next.members, recent.of(group), group.from);
    if (excess !== undefined) throw wrong(group, excess.text);
  }
}

/** What sources fill, of a text that may be none. */
export function groupsIn(text: string): readonly Group[] {
  try {
    return groupsOf(parsed(text).config);
  } catch (error) {
    if (error instanceof BadRecord) return [];
    throw error;
  }
}
