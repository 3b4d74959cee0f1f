/** Runs `anyhop l7 check` on one file after the other in one process, and prints the outcome of each as a line of JSON. */
import { l7CheckCommand } from '#anyhop/cli/l7-check.js';
import { AnyhopError } from '#anyhop/core/errors.js';

const lines: string[] = [];
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = () => true; // what the command itself prints

for (const file of process.argv.slice(2)) {
  process.exitCode = 0;
  let message = '';
  try {
    await l7CheckCommand().parseAsync(['-c', file], { from: 'user' });
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    process.exitCode = error.exitCode;
    message = error.message;
  }
  lines.push(JSON.stringify({ status: process.exitCode, message }));
}
process.exitCode = 0;
process.stdout.write = write;
write(`${lines.join('\n')}\n`);
