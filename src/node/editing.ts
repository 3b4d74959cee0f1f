/** A backend more or one less on a running node: what is asked for, and what an operator should know of it. */
import { type BackendTarget, ControlError, type MemberEdit } from '../api/api.js';
import { DISCOVERED_HINT, discoveredMessage } from '../config/discover/by-hand.js';
import type { RuntimeEdit } from '../config/edit/kept.js';
import { ConfigError, formatProblem } from '../config/error.js';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Membership } from '../pool/membership.js';
import type { ReadConfig } from './config-file.js';
import { noPool, poolsNamed } from './named.js';
import type { RuntimeEdits } from './runtime-edits.js';

export interface Editing {
  /** In words: `backend add web-7`. */
  readonly words: string;
  /** Who is to leave; undefined when somebody joins. */
  readonly leaves: BackendTarget | undefined;
  /** Whether a pool is one of those that are meant. */
  readonly concerns: (of: { readonly pool: string }) => boolean;
  /** The config with it. @throws ConfigError; ControlError 409 when another backend has the name, or none would be left */
  readonly read: () => ReadConfig;
}

/** @throws ControlError 404 for a pool or backend that is not there, 409 in a fleet and for a pool that a source fills */
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
  const isAdded = edit.kind === 'add';
  if (isAdded && !pools.some(({ name }) => name === edit.pool)) throw noPool(edit.pool, pools);
  const each = isAdded
    ? [{ ...edit, since }]
    : poolsNamed({ backend: edit.backend, pool: edit.pool }, pools).map(
        (pool): RuntimeEdit => ({ ...edit, pool, since }),
      );
  const names = new Set(each.map(({ pool }) => pool));
  const found = pools.find(({ name, backendsFrom }) => backendsFrom !== undefined && names.has(name));
  if (found !== undefined)
    throw new ControlError(409, 'ERR_DISCOVERED', discoveredMessage(found.name), { hint: DISCOVERED_HINT });
  return {
    words: isAdded ? `backend add ${edit.entry.name}` : `backend remove ${edit.backend}`,
    leaves: isAdded ? undefined : { backend: edit.backend, pool: edit.pool },
    concerns: ({ pool }) => names.has(pool),
    read: () => withEdits(edits, each),
  };
}

function withEdits(edits: RuntimeEdits, more: readonly RuntimeEdit[]): ReadConfig {
  try {
    return edits.and(more);
  } catch (error) {
    if (!(error instanceof AnyhopError) || error instanceof ConfigError) throw error;
    throw new ControlError(409, 'ERR_BACKEND', error.message, { hint: error.hint });
  }
}

/** Whether a backend takes new flows in one of the pools that are meant, so that its removal would break connections. */
export function isActive({ backend, pool }: BackendTarget, pools: Membership): boolean {
  return [...pools].some(
    ([name, { changes }]) =>
      (pool ?? name) === name &&
      changes.members.some((one) => one.name === backend && one.state === 'active'),
  );
}

/** Of the agents, and what the config warns of that it did not before. */
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
