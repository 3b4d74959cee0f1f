#!/usr/bin/env -S -u NODE_OPTIONS node --inspect-port=[ff02::1]:9229
/**
 * The command line: one file a command under src/cli; this one puts them together and turns errors into exit codes.
 *
 * A command's file is loaded when it is the one that was asked for: `anyhop ready`, which routing daemons call every second,
 * then costs 0.16 s of a processor instead of 0.5 s.
 */
import './core/no-debugger.js'; // before all others
import { existsSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { writeError, writeOut } from './cli/output.js';
import { AnyhopError, EXIT } from './core/errors.js';
import { reasonOf } from './core/reason.js';
import { VERSION } from './core/version.js';

// In the order of help: what one does first comes first.
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  check: async () => (await import('./cli/check.js')).checkCommand(),
  run: async () => (await import('./cli/run.js')).runCommand(),
  doctor: async () => (await import('./cli/doctor.js')).doctorCommand(),
  status: async () => (await import('./cli/status.js')).statusCommand(),
  top: async () => (await import('./cli/top.js')).topCommand(),
  events: async () => (await import('./cli/events.js')).eventsCommand(),
  ready: async () => (await import('./cli/ready.js')).readyCommand(),
  reload: async () => (await import('./cli/reload.js')).reloadCommand(),
  drain: async () => (await import('./cli/drain.js')).drainCommand(),
  undrain: async () => (await import('./cli/undrain.js')).undrainCommand(),
  weight: async () => (await import('./cli/weight.js')).weightCommand(),
  backend: async () => (await import('./cli/backend.js')).backendCommand(),
  changes: async () => (await import('./cli/changes.js')).changesCommand(),
  cancel: async () => (await import('./cli/queued.js')).cancelCommand(),
  force: async () => (await import('./cli/queued.js')).forceCommand(),
  fleet: async () => (await import('./cli/fleet.js')).fleetCommand(),
  defend: async () => (await import('./cli/defend.js')).defendCommand(),
  diff: async () => (await import('./cli/diff.js')).diffCommand(),
  announce: async () => (await import('./cli/announce.js')).announceCommand(),
  stop: async () => (await import('./cli/stop.js')).stopCommand(),
  replay: async () => (await import('./cli/replay.js')).replayCommand(),
  table: async () => (await import('./cli/table.js')).tableCommand(),
  plan: async () => (await import('./cli/plan.js')).planCommand(),
  simulate: async () => (await import('./cli/simulate.js')).simulateCommand(),
  which: async () => (await import('./cli/which.js')).whichCommand(),
  trace: async () => (await import('./cli/trace.js')).traceCommand(),
  image: async () => (await import('./cli/image.js')).imageCommand(),
  capture: async () => (await import('./cli/capture.js')).captureCommand(),
  agent: async () => (await import('./cli/agent.js')).agentCommand(),
  l7: async () => (await import('./cli/l7.js')).l7Command(),
  pass: async () => (await import('./cli/pass.js')).passCommand(),
  schema: async () => (await import('./cli/schema.js')).schemaCommand(),
  completion: async () => (await import('./cli/completion.js')).completionCommand(),
};
/** It needs the other commands. */
const NEEDS_ALL = 'completion';
/** They need none. */
const VERSION_OPTIONS = ['-V', '--version'];
/** They read their config after they were loaded: a SIGHUP before that asks for nothing more, and must not end them. */
const RELOADED_BY_SIGHUP = ['run', 'agent', 'l7 run', 'announce'];

const NO_DESCRIPTORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);

const program = new Command('anyhop')
  .description(
    'A Maglev-style, stateless layer-4 load balancer: GRE to the backends, answers straight to the clients.',
  )
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .configureOutput({ writeOut, writeErr: writeError })
  .showHelpAfterError('(add --help for the options)')
  .exitOverride();

const [, , asked = '', second] = process.argv;
if ([asked, `${asked} ${second}`].some((words) => RELOADED_BY_SIGHUP.includes(words)))
  process.on('SIGHUP', () => undefined);

// Whoever reads a message may be gone, or its disk full: that changes nothing about what was to be done.
process.stderr.on('error', () => undefined);
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (process.stdout.listenerCount('error') > 1) return; // a command has an end of its own to come to
  if (error.code === 'EPIPE') process.exit(EXIT.ok); // `anyhop schema | head` is no failure
  writeError(`anyhop: standard output cannot be written: ${reasonOf(error)}\n`);
  process.exit(EXIT.failure);
});

try {
  const one = asked === NEEDS_ALL || !Object.hasOwn(COMMANDS, asked) ? undefined : COMMANDS[asked];
  const all = VERSION_OPTIONS.includes(asked) ? [] : Object.values(COMMANDS);
  for (const load of one === undefined ? all : [one]) program.addCommand(inherit(await load(), program));
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Settings of the parent, also for the commands of a group. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const one of command.commands) inherit(one, command);
  return command;
}

function report(error: unknown): number {
  // commander has printed its own message by now.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof AnyhopError) {
    writeError(`${error.code === 'ERR_CONFIG' ? '' : 'anyhop: '}${error.message}\n`);
    if (error.hint !== undefined) writeError(`  ${error.hint}\n`);
    return error.exitCode;
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (NO_DESCRIPTORS.has(code ?? '') || isThereAllTheSame(message)) {
    const hint = 'Raise the limit: LimitNOFILE= in a systemd unit, or ulimit -n.';
    writeError(`anyhop: no file descriptors are left\n  ${hint}\n`);
    return EXIT.environment;
  }
  writeError(`anyhop: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT.failure;
}

/** Of a package that cannot be opened, Node's loader says that it cannot be found. */
function isThereAllTheSame(message: string): boolean {
  const [, directory] = /^Cannot find package '(.+)\/index\.js'/.exec(message) ?? [];
  return directory !== undefined && existsSync(`${directory}/package.json`);
}
