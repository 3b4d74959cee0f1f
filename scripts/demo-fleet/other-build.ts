/** Another build of anyhop, whose tables differ: a copy of this one in which resolving a table counts as another version of it. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RESOLVE_VERSION } from '#anyhop/table/digest.js';
import { makeNextBuild } from '../survive/next-build.js';

const VERSION = `RESOLVE_VERSION = ${RESOLVE_VERSION}`;

/** @returns the path of its main.js */
export function makeOtherBuild(directory: string): string {
  const { program } = makeNextBuild(directory);
  const dist = join(directory, 'dist');
  const parts = readdirSync(dist).filter((name) => name.endsWith('.js'));
  const changed = parts.filter((name) => {
    const file = join(dist, name);
    const text = readFileSync(file, 'utf8');
    if (!text.includes(VERSION)) return false;
    writeFileSync(file, text.replace(VERSION, `${VERSION}1`));
    return true;
  });
  if (changed.length === 0) throw new Error(`no part of ${dist} has "${VERSION}"`);
  return program;
}
