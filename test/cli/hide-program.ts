/** Loaded before a program (node --import): the one named by HIDE_PROGRAM cannot be found. */
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

const { spawn } = childProcess;
childProcess.spawn = ((program: string, ...rest: []) =>
  spawn(
    basename(program) === process.env['HIDE_PROGRAM'] ? `/nowhere/${program}` : program,
    ...rest,
  )) as typeof spawn;
syncBuiltinESMExports();
