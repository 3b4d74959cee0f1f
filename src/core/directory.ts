/**
 * Makes a directory and its parents. Not by `mkdirSync(path, {recursive: true})`: Node 20 loops forever when the kernel says
 * ENOENT under an existing directory (/proc).
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
