/** Common parts of the commands that change a running node. */
import { Command, Option } from 'commander';
import type { ChangeReport, PlanReport } from '../api/api.js';
import type { BackendFields } from '../config/edit/wanted.js';
import { drawChange } from './change-text.js';
import { findSocket, Refusal, socketOption, tell } from './control-client.js';
import { changeInFleet, isForFleet, type WhereOptions, whereOptions } from './fleet-or-node.js';
import { writeOut, writeResult } from './output.js';
import { drawNodePlan } from './plan-text.js';

export interface ChangeCommandOptions {
  readonly socket?: string;
  readonly force?: true;
  readonly json?: true;
}

export interface BackendCommandOptions extends ChangeCommandOptions, WhereOptions {
  readonly pool?: string;
  readonly plan?: true;
}

/** Options of a command that changes a node. @param force description of --force */
export function changeOptions(force: string): Option[] {
  return [new Option('--force', force), ...answerOptions()];
}

export function answerOptions(): Option[] {
  return [socketOption(), new Option('--json', 'print one JSON object; {error} if the node refuses')];
}

/** A command that changes one backend, with BackendCommandOptions. */
export function backendCommand(name: string): Command {
  const command = new Command(name)
    .argument('<backend>', 'its name in the config file')
    .option('-p, --pool <name>', 'only in this pool (default: every pool that has the backend)')
    .option('--plan', 'change nothing: print which slots would move and which connections would break');
  const force =
    'do not wait until one of the two changes before has settled, even if connections break; changes that wait keep waiting';
  for (const option of [...changeOptions(force), ...whereOptions()]) command.addOption(option);
  return command;
}

export type ChangePath =
  | '/drain'
  | '/undrain'
  | '/weight'
  | '/reload'
  | '/cancel'
  | '/force'
  | '/backend/add'
  | '/backend/remove';

/** Sends the change to the node. Returns the answer, or undefined after it has printed a refusal as JSON. */
export async function change(
  path: ChangePath,
  body: object,
  options: Pick<ChangeCommandOptions, 'socket' | 'json'>,
): Promise<{ socket: string; report: ChangeReport } | undefined> {
  const socket = options.socket ?? (await findSocket());
  try {
    return { socket, report: (await tell(socket, path, body)) as ChangeReport };
  } catch (error) {
    if (!options.json || !(error instanceof Refusal)) throw error;
    writeOut(`${JSON.stringify({ error: error.report })}\n`);
    process.exitCode = error.exitCode;
    return undefined;
  }
}

/**
 * Changes one backend, in the fleet or on one node, or with --plan only asks for the effects, and prints the answer.
 * @param fields what the config of a fleet is to say
 */
export async function changeBackend(
  path: '/drain' | '/undrain' | '/weight',
  body: { readonly backend: string; readonly weight?: number },
  fields: BackendFields,
  options: BackendCommandOptions,
): Promise<void> {
  const { pool, force = false, plan = false } = options;
  const { backend, weight = '' } = body;
  if (await isForFleet(options))
    return changeInFleet(
      { kind: 'set', backend, pool, fields },
      `${path.slice(1)} ${backend} ${weight}`.trimEnd(),
      options,
    );
  await changeAndTell(path, { ...body, pool, force, plan }, options, (report) =>
    plan ? drawNodePlan(report as unknown as PlanReport) : drawChange(report),
  );
}

/** Sends the change to the node, and prints its answer. */
export async function changeAndTell(
  path: ChangePath,
  body: object,
  options: ChangeCommandOptions,
  draw: (report: ChangeReport) => string = drawChange,
): Promise<void> {
  const done = await change(path, body, options);
  if (done !== undefined) writeResult(options.json, done.report, draw);
}
