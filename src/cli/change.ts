/** What the commands that change one backend of a running node, or all of it, have in common. */
import { Command, Option } from 'commander';
import type { ChangeReport } from '../control/api.js';
import { findSocket, Refusal, socketOption, tell } from './control-client.js';

export interface ChangeCommandOptions {
  readonly socket?: string;
  readonly force?: true;
  readonly json?: true;
}

export interface BackendCommandOptions extends ChangeCommandOptions {
  readonly pool?: string;
}

/** Options of a command that tells a node something. */
export function changeOptions(): Option[] {
  return [
    new Option(
      '--force',
      'do not wait for the change before it to settle, and let nothing else wait either, whatever connections that breaks',
    ),
    socketOption(),
    new Option('--json', 'print one JSON object, {error} when the node refuses'),
  ];
}

/** A command that changes one backend; its options are BackendCommandOptions. */
export function backendCommand(name: string): Command {
  const command = new Command(name)
    .argument('<backend>', 'its name in the config file')
    .option('-p, --pool <name>', 'in this pool alone; otherwise in every pool that has the backend');
  for (const option of changeOptions()) command.addOption(option);
  return command;
}

/** Tells the node that is meant; what it answers, or undefined when its refusal has been printed as JSON. */
export async function change(
  path: '/drain' | '/undrain' | '/weight' | '/reload',
  body: object,
  options: ChangeCommandOptions,
): Promise<{ socket: string; report: ChangeReport } | undefined> {
  const socket = options.socket ?? (await findSocket());
  try {
    const asked = { ...body, force: options.force === true };
    return { socket, report: (await tell(socket, path, asked)) as ChangeReport };
  } catch (error) {
    if (!options.json || !(error instanceof Refusal)) throw error;
    process.stdout.write(`${JSON.stringify({ error: error.report })}\n`);
    process.exitCode = error.exitCode;
    return undefined;
  }
}
