/** A backend more or one less on a running node: what is to be edited, and what an operator should know of it. */
import { type BackendTarget, ControlError, type MemberEdit } from '../api/api.js';
import type { RuntimeEdit } from '../config/edit/kept.js';
import { formatProblem } from '../config/error.js';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import type { Membership } from '../pool/membership.js';
import { noPool, poolsNamed } from './named.js';
import type { RuntimeEdits } from './runtime-edits.js';

export interface Editing {
  readonly edits: RuntimeEdits;
  /** One a pool. */
  readonly added: readonly RuntimeEdit[];
  /** Who is to go. */
  readonly target: BackendTarget | undefined;
}

/** @throws ControlError 404 for a pool or backend that is not there, 409 in a fleet */
export function editing(
  edits: RuntimeEdits | undefined,
  pools: readonly PoolConfig[],
  edit: MemberEdit,
): Editing {
  if (edits === undefined)
    throw new ControlError(
      409,
      'ERR_FLEET',
      'the node is in a fleet, whose members all have the same backends',
      {
        hint: 'Change the whole fleet: the same command with --fleet, and without --local and --socket.',
      },
    );
  const since = new Date().toISOString();
  if (edit.kind === 'add') {
    if (!pools.some(({ name }) => name === edit.pool)) throw noPool(edit.pool, pools);
    return { edits, added: [{ ...edit, since }], target: undefined };
  }
  const { kind, backend, pool } = edit;
  const target = { backend, pool };
  const added = poolsNamed(target, pools).map((each) => ({ kind, backend, pool: each, since }));
  return { edits, added, target };
}

/** Whether a backend takes new flows in one of the pools that are meant, so that its removal would break connections. */
export function isActive({ backend, pool }: BackendTarget, pools: Membership): boolean {
  return [...pools].some(
    ([name, { changes }]) =>
      (pool ?? name) === name &&
      changes.members.some((one) => one.name === backend && one.state === 'active'),
  );
}

export function wordsOf(edit: MemberEdit): string {
  return edit.kind === 'add' ? `backend add ${edit.entry.name}` : `backend remove ${edit.backend}`;
}

/** What an operator should know: of the agents, and what the config warns of that it did not before. */
export function editWarnings(
  edit: MemberEdit,
  before: LoadedConfig<'run'>,
  after: LoadedConfig<'run'>,
): string[] {
  const known = new Set(before.warnings.map(({ field }) => field));
  const news = after.warnings.filter(({ field }) => !known.has(field)).map(formatProblem);
  if (edit.kind === 'remove') return news;
  const { name } = edit.entry;
  return [
    ...news,
    `agents and other forwarders do not know ${name}: put it into their config files too, agents first; until then, agents drop what is passed on to it`,
  ];
}
