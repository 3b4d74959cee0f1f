/**
 * How a package that npm left out comes back. npm removes an optional package that it cannot build, without a word, and goes on;
 * `npm rebuild` then finds nothing to build, and says that it succeeded (npm 11). Only installing the whole again helps, also
 * where a package is there and was built for another Node.
 */
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** @param root where this program's package.json is: below some node_modules, or a checkout */
export function installAgain(root: string = ROOT): string {
  return basename(dirname(root)) === 'node_modules'
    ? 'npm install -g --allow-scripts=cap,raw-socket ./anyhop-*.tgz'
    : `npm ci, in ${root}`;
}
