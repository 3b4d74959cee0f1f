/** `anyhop backend add` and `remove`: another backend in a pool, or one less, on a running node or in the whole fleet. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import type { PlanReport } from '../api/api.js';
import type { BackendEdit, NewBackend } from '../config/edit/wanted.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../config/name-fields.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { BACKEND_ID_MAX, WEIGHT_MAX } from '../core/limits.js';
import { parseAddress } from '../packet/address.js';
import { type ChangeCommandOptions, change, changeOptions } from './change.js';
import { drawChange } from './change-text.js';
import { findSocket } from './control-client.js';
import { drainAndFollow, untilGone } from './drain-follow.js';
import { changeInFleet, isForFleet, type WhereOptions, whereOptions } from './fleet-or-node.js';
import { between } from './number.js';
import { writeResult } from './output.js';
import { drawNodePlan } from './plan-text.js';

interface EditOptions extends ChangeCommandOptions, WhereOptions {
  readonly plan?: true;
  readonly write?: true;
}

interface AddOptions extends EditOptions {
  readonly pool: string;
  readonly weight?: number;
  readonly id?: number;
  readonly agent: boolean;
}

interface RemoveOptions extends EditOptions {
  readonly pool?: string;
  readonly wait?: true;
}

export function backendCommand(): Command {
  return new Command('backend')
    .summary('add a backend to a pool, or remove one')
    .description('Adds a backend to a pool, or removes one: on a running node, or in the whole fleet.')
    .addCommand(addCommand())
    .addCommand(removeCommand());
}

function addCommand(): Command {
  return editing('add')
    .summary('add a backend to a pool')
    .description(
      'Adds a backend to a pool of a running node, over its config file, or to the config of the whole fleet.',
    )
    .addArgument(new Argument('<name>', NAME_EXPECTED).argParser(parseName))
    .addArgument(new Argument('<address>', 'its address in the underlay').argParser(parseUnderlay))
    .requiredOption('-p, --pool <name>', 'the pool')
    .option(
      '--weight <number>',
      `share of the flows, 0 to ${WEIGHT_MAX}; 1 by default`,
      between(0, WEIGHT_MAX),
    )
    .option(
      '--id <number>',
      `id in GRE keys, 1 to ${BACKEND_ID_MAX}; the low 15 bits of its address by default`,
      between(1, BACKEND_ID_MAX),
    )
    .option('--no-agent', 'the host runs no agent: it has a plain kernel GRE tunnel')
    .addHelpText(
      'after',
      `
On one node, agents and other nodes do not know the new backend: add it to their config files too. In a fleet, agents know it before
forwarders send to it. Comments and order of the config stay.
It survives restarts, and ends when the config file says the same, or has another backend of that name. With --force, everything that waits comes with it.
Exit codes: 0 in force or waiting, 1 refused or no node answers, 2 wrong usage. In a fleet: as of "anyhop fleet apply".

Examples:
  anyhop backend add web-7 10.1.0.17 --pool web --plan
  anyhop backend add web-7 10.1.0.17 --pool web --weight 2 --write`,
    )
    .action(async (name: string, address: string, options: AddOptions) => {
      const { pool, weight, id, agent } = options;
      const entry: NewBackend = {
        name,
        address,
        ...(weight !== undefined && { weight }),
        ...(id !== undefined && { id }),
        ...(!agent && { agent }),
      };
      const edit: BackendEdit = { kind: 'add', pool, entry };
      if (await isForFleet(options))
        return editFleet(edit, `backend add ${name} ${address} to the pool ${pool}`, options);
      await editNode('/backend/add', { backend: name, pool, address, weight, id, agent }, edit, options);
    });
}

function removeCommand(): Command {
  return editing('remove')
    .summary('drain a backend and remove it')
    .description(
      'Drains a backend of a running node, and removes it once it is drained, over the config file; or takes it out of the config of the whole fleet.',
    )
    .addArgument(new Argument('<name>', 'its name in the config').argParser(parseName))
    .option('-p, --pool <name>', 'only from this pool (default: every pool that has the backend)')
    .addOption(
      new Option('--wait', 'drain it, wait until no connection is left, and then remove it').conflicts([
        'plan',
        'force',
      ]),
    )
    .addHelpText(
      'after',
      `
On a node, the backend drains, and the removal waits until its agent reports no connection, or drain_deadline has passed; "anyhop changes"
shows it. Without an agent nobody counts: drain it and wait, before you remove it. --force removes it now, with everything that waits.
In a fleet, drain it first; the command removes it as soon as the drain is done, and refuses one that does not drain.
--wait does both, in a fleet and on a node, follows the drain as "anyhop drain --wait" does, and ends when the backend is gone. Ctrl-C ends the
wait: the backend then drains, and stays. In a fleet, a node must run here.
It survives restarts, and ends when the config file no longer has the backend.
Exit codes: 0 in force or waiting, 1 refused or no node answers, 2 wrong usage. In a fleet: as of "anyhop fleet apply".

Examples:
  anyhop backend remove web-2 --plan
  anyhop backend remove web-2 --write
  anyhop backend remove web-2 --wait -m 'sold'`,
    )
    .action(async (name: string, options: RemoveOptions) => {
      const { pool, wait } = options;
      const edit: BackendEdit = { kind: 'remove', backend: name, pool };
      const drains = async (): Promise<boolean> => !wait || (await drainsAway(name, options));
      if (await isForFleet(options)) {
        if (await drains()) await editFleet(edit, `backend remove ${name}`, options);
        return;
      }
      const socket = options.socket ?? (await findSocket());
      const body = { backend: name, pool };
      const isAsked = await editNode('/backend/remove', body, edit, { ...options, socket }, drains);
      if (wait && isAsked) await untilGone(socket, name, pool);
    });
}

/** Drains it; false, and the exit code says so, when it is not to be removed after that. */
async function drainsAway(name: string, { write: _, ...options }: RemoveOptions): Promise<boolean> {
  const drains = await drainAndFollow(name, options);
  const isOver = drains?.every(({ stage }) => stage === 'drained' || stage === 'cut_off') ?? false;
  if (!isOver) process.exitCode ??= EXIT.failure;
  return isOver;
}

function editing(name: string): Command {
  const command = new Command(name)
    .option('--plan', 'change nothing: print which slots would move and which connections would break')
    .option('--write', "on one node: write it into the node's config file as well, and keep all else of it");
  for (const option of [...changeOptions('do not wait, even if connections break'), ...whereOptions()])
    command.addOption(option);
  return command;
}

async function editFleet(edit: BackendEdit, words: string, options: EditOptions): Promise<void> {
  if (!options.write) return changeInFleet(edit, words, options);
  throw new AnyhopError('ERR_USAGE', '--write is for the file of one node', {
    hint: 'The config of a fleet has the change without it: `anyhop fleet export` prints it.',
  });
}

/** @param before what comes first, when the file can be written; false when nothing is to follow @returns whether the node has taken it */
async function editNode(
  path: '/backend/add' | '/backend/remove',
  body: object,
  edit: BackendEdit,
  options: EditOptions,
  before: () => Promise<boolean> = async () => true,
): Promise<boolean> {
  const { force = false, plan = false, json } = options;
  const socket = options.socket ?? (await findSocket());
  const write =
    options.write && !plan
      ? await (await import('./backend-write.js')).prepareWrite(socket, edit)
      : undefined;
  if (!(await before())) return false;
  const done = await change(path, { ...body, force, plan }, { ...options, socket });
  if (done === undefined) return false;
  const { report } = done;
  const written = await write?.();
  writeResult(json, { ...report, ...(written && { written }) }, () =>
    plan
      ? drawNodePlan(report as unknown as PlanReport)
      : `${drawChange(report)}${written === undefined ? '' : `written to ${written}\n`}`,
  );
  return true;
}

function parseName(text: string): string {
  if (NAME_PATTERN.test(text)) return text;
  throw new InvalidArgumentError(`Expected ${NAME_EXPECTED}.`);
}

function parseUnderlay(text: string): string {
  const address = parseAddress(text);
  if (address !== undefined) return address.text;
  throw new InvalidArgumentError('Expected an IPv4 or IPv6 address.');
}
