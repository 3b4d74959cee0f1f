/**
 * The command that brings back a missing package. npm silently removes an optional package that it cannot build; `npm rebuild`
 * then finds nothing to build and reports success (npm 11). Only a full installation helps, also for a package built for another
 * Node.
 */
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** @param root folder of this program's package.json: inside some node_modules, or a checkout */
export function installAgain(root: string = ROOT): string {
  return basename(dirname(root)) === 'node_modules'
    ? 'npm install -g --allow-scripts=cap,raw-socket ./anyhop-*.tgz'
    : `npm ci, in ${root}`;
}
