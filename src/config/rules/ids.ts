/**
 * The ids of backends. In the GRE keys of services with second chance an id names one address, whatever the backend there is called
 * and in whichever of their pools it is. A backend without an agent that has no id of its own is no alternate.
 */
import { BACKEND_ID_MAX } from '../../core/limits.js';
import type { IpAddress } from '../../packet/address.js';
import { defaultId } from '../../packet/second-chance-key.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftBackend } from '../draft.js';
import { formatPath } from '../path.js';
import { describePlace, type Report } from '../problems.js';
import { whyUnusable } from './address.js';
import { hostPrefix } from './pools.js';

/** Of every backend of the file, those of prior states included. */
export type BackendIds = ReadonlyMap<DraftBackend, number>;

export function backendIds(draft: Draft, document: ConfigDocument, report: Report, warn: Report): BackendIds {
  const ids = new Map<DraftBackend, number>();
  for (const backend of backendsOf(draft)) ids.set(backend, idOf(backend));
  const free = new FreeIds(ids.values());
  const holders = new Map<number, Machine>();
  const place = ({ backends: [first] }: Machine, field: 'id' | 'address'): string =>
    `${formatPath(first.at)} (${describePlace(document, [...first.at, field])})`;
  for (const machine of inOrderOfClaim(machinesOf(draft))) {
    const { address, backends, written } = machine;
    const id = written?.id ?? defaultId(address);
    const holder = holders.get(id);
    const isFree = id !== 0 && holder === undefined;
    if (isFree) holders.set(id, machine);
    for (const backend of backends) {
      ids.set(backend, isFree ? id : 0);
      if (backend.id === undefined || backend.id === id) continue;
      report(
        [...backend.at, 'id'],
        `found ${backend.id}, but ${formatPath(written!.at)} (${describePlace(document, [...written!.at, 'id'])}) gives ${address.text} ` +
          `the id ${id}; expected id: ${id}`,
      );
    }
    if (isFree) continue;
    const of = holder && `${holder.address.text} of ${place(holder, 'address')}`;
    if (written !== undefined)
      report([...written.at, 'id'], `found ${id}, the id of ${of}; expected a free one: ${free.next()}`);
    else {
      const why = `the low 15 bits of ${address.text} are ${id}, ${of === undefined ? 'which names no backend' : `the id of ${of}`}`;
      const at = [...backends[0].at, 'address'];
      if (machine.hasAgent) report(at, `${why}; expected a free id beside the address: ${free.next()}`);
      else warn(at, `${why}: without an id it is never an alternate; to make it one, add ${free.next()}`);
    }
  }
  return ids;
}

function* backendsOf({ pools }: Pick<Draft, 'pools'>): Iterable<DraftBackend> {
  for (const { backends, prior = [] } of pools) {
    yield* backends;
    yield* prior;
  }
}

/** As if no other backend were there. */
function idOf({ id, address }: DraftBackend): number {
  return id ?? (address === undefined ? 0 : defaultId(address));
}

/** An address in the pools of services with second chance. */
interface Machine {
  readonly address: IpAddress;
  readonly backends: DraftBackend[];
  /** The first of these that gives it an id. */
  written: DraftBackend | undefined;
  hasAgent: boolean;
}

/** Without those whose address or id has a problem of its own. */
function machinesOf({ pools, services }: Draft): Machine[] {
  const keyed = new Set(services.flatMap(({ secondChance, pool }) => (secondChance ? [pool] : [])));
  const machines = new Map<string, Machine>();
  for (const backend of backendsOf({ pools: pools.filter(({ name }) => keyed.has(name)) })) {
    const { address, agent, wrong } = backend;
    if (address === undefined || wrong.has('id') || whyUnusable(hostPrefix(address)) !== undefined) continue;
    const machine = machines.get(address.text) ?? {
      address,
      backends: [],
      written: undefined,
      hasAgent: false,
    };
    machines.set(address.text, machine);
    machine.backends.push(backend);
    machine.hasAgent ||= agent;
    if (backend.id !== undefined) machine.written ??= backend;
  }
  return [...machines.values()];
}

/** Ids that are written come first; of the others, those that a backend must have. */
function inOrderOfClaim(machines: readonly Machine[]): Machine[] {
  const rank = ({ written, hasAgent }: Machine): number => (written !== undefined ? 0 : hasAgent ? 1 : 2);
  return [...machines].sort((a, b) => rank(a) - rank(b));
}

/** Counts down from the top, since few addresses of new machines have these low bits. */
export class FreeIds {
  readonly #taken: Set<number>;
  #last = BACKEND_ID_MAX + 1;

  constructor(taken: Iterable<number>) {
    this.#taken = new Set(taken);
  }

  /** A free id, different in each message. */
  next(): string {
    do this.#last--;
    while (this.#taken.has(this.#last));
    return this.#last > 0
      ? `id: ${this.#last}`
      : `none is left of ${BACKEND_ID_MAX}, so remove backends first`;
  }
}
