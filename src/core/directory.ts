/**
 * Directories with all that is above them. Not by `mkdirSync(path, {recursive: true})`: where the kernel says ENOENT under a
 * directory that is there (/proc), Node 20 asks again without end.
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** @returns whether it was made. @throws NodeJS.ErrnoException */
export function makeDirectory(path: string, mode: number): boolean {
  try {
    return makeOne(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    makeDirectory(dirname(path), mode);
    return makeOne(path, mode);
  }
}

function makeOne(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && statSync(path).isDirectory()) return false;
    throw error;
  }
}
