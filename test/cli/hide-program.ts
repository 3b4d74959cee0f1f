/** Loaded before a program (node --import): the one named by HIDE_PROGRAM cannot be found. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

const { accessSync } = fs;
fs.accessSync = (path, mode) => {
  if (basename(String(path)) === process.env['HIDE_PROGRAM'])
    throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  accessSync(path, mode);
};
syncBuiltinESMExports();
