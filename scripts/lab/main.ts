/** How the lab's programs end: an exit code, and errors in the words that a user can act on. */
import { AnyhopError, EXIT } from '#anyhop/core/errors.js';
import { missingForLab } from './lab.js';

/** Runs `main` for its exit code if a lab can be made here. `tools` are programs needed besides the lab's own. */
export async function runInLab(
  name: string,
  main: () => Promise<number>,
  tools: readonly string[] = [],
): Promise<void> {
  try {
    const missing = missingForLab(tools);
    if (missing !== undefined) throw missing;
    process.exitCode = await main();
  } catch (error) {
    process.exitCode = report(name, error);
  }
}

function report(name: string, error: unknown): number {
  if (error instanceof AnyhopError) {
    console.error(`${name}: ${error.message}`);
    if (error.hint !== undefined) console.error(`  ${error.hint}`);
    return error.exitCode;
  }
  console.error(`${name}: ${error instanceof Error ? error.stack : error}`);
  return EXIT.failure;
}
