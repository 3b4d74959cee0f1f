/**
 * Another build of anyhop to upgrade to: a copy of this one with a version of its own, and with an XDP program of its own, which
 * takes the place of this one's.
 */
import { appendFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface NextBuild {
  /** Path of its main.js. */
  readonly program: string;
  readonly version: string;
}

export function makeNextBuild(directory: string): NextBuild {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const version = `${manifest.version}-next`;
  mkdirSync(directory);
  cpSync(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true });
  // Nothing reads what follows an object's sections, but the digest by which a node knows its own program takes it in.
  appendFileSync(join(directory, 'dist', 'native', 'forward.bpf.o'), version);
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ ...manifest, version }));
  return { program: join(directory, 'dist', 'main.js'), version };
}
