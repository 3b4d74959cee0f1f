#!/usr/bin/env node
/** The command line: one file a command under src/cli; this one puts them together and turns errors into exit codes. */
import { Command, CommanderError } from 'commander';
import { agentCommand } from './cli/agent.js';
import { checkCommand } from './cli/check.js';
import { completionCommand } from './cli/completion.js';
import { diffCommand } from './cli/diff.js';
import { drainCommand } from './cli/drain.js';
import { imageCommand } from './cli/image.js';
import { planCommand } from './cli/plan.js';
import { readyCommand } from './cli/ready.js';
import { reloadCommand } from './cli/reload.js';
import { replayCommand } from './cli/replay.js';
import { runCommand } from './cli/run.js';
import { schemaCommand } from './cli/schema.js';
import { simulateCommand } from './cli/simulate.js';
import { statusCommand } from './cli/status.js';
import { stopCommand } from './cli/stop.js';
import { tableCommand } from './cli/table.js';
import { undrainCommand } from './cli/undrain.js';
import { weightCommand } from './cli/weight.js';
import { whichCommand } from './cli/which.js';
import { AnyhopError, EXIT } from './core/errors.js';
import { VERSION } from './core/version.js';

const program = new Command('anyhop')
  .description(
    'A Maglev-style, stateless layer-4 load balancer: GRE to the backends, answers straight to the clients.',
  )
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .showHelpAfterError('(add --help for the options)')
  .exitOverride();

// In the order of help: what one does first comes first.
for (const command of [
  checkCommand(),
  runCommand(),
  statusCommand(),
  readyCommand(),
  reloadCommand(),
  drainCommand(),
  undrainCommand(),
  weightCommand(),
  diffCommand(),
  stopCommand(),
  replayCommand(),
  tableCommand(),
  planCommand(),
  simulateCommand(),
  whichCommand(),
  imageCommand(),
  agentCommand(),
  schemaCommand(),
  completionCommand(),
]) {
  program.addCommand(command.copyInheritedSettings(program));
}

// `anyhop schema | head` is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.ok);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  // commander has printed its own message by now.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof AnyhopError) {
    process.stderr.write(`${error.code === 'ERR_CONFIG' ? '' : 'anyhop: '}${error.message}\n`);
    if (error.hint !== undefined) process.stderr.write(`  ${error.hint}\n`);
    return error.exitCode;
  }
  process.stderr.write(`anyhop: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT.failure;
}
