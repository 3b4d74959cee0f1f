/** The import order of src/, which stands in src/README.md and nowhere else. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';

/** Of all lines of src/, what one folder may have. */
const SHARE_MAX = 1 / 6;

interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

/** Folders in their order, each with those that it may import from. */
function allowed(): Map<string, ReadonlySet<string>> {
  const rows = [...readFileSync('src/README.md', 'utf8').matchAll(/^\| `(\w+)` \|.*\| ([\w ]+) \|$/gm)];
  const folders = rows.map(([, folder]) => folder);
  return new Map(
    rows.map(([, folder, list]) => [
      folder,
      new Set(list === 'nothing' ? [] : list === 'all of them' ? folders : list.split(' ')),
    ]),
  );
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
}

/** Every import between folders; `anyhop.ts` stands in none. */
function imports(): Import[] {
  return files.flatMap((file) => {
    const text = readFileSync(join('src', file), 'utf8');
    const specifiers = [...text.matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g)].map(([, path]) => path);
    return specifiers
      .map((path) => ({ file, from: folderOf(file), to: folderOf(relative('.', join(dirname(file), path))) }))
      .filter(({ from, to }) => from !== to && from !== '');
  });
}

describe('the source', () => {
  const order = allowed();

  it('has a row in src/README.md for every folder, and no other', () => {
    const folders = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    assert.deepEqual([...order.keys()].toSorted(), folders.map(({ name }) => name).toSorted());
  });

  it('imports only what src/README.md allows', () => {
    const all = imports();
    assert.ok(all.length > 500, 'imports are found');
    for (const { file, from, to } of all)
      assert.ok(
        order.get(from)!.has(to),
        `src/${file} imports from ${to}, and src/README.md does not allow ${from} to`,
      );
  });

  it('has no row in src/README.md that allows what nothing uses', () => {
    const used = new Set(imports().map(({ from, to }) => `${from} ${to}`));
    for (const [folder, others] of order)
      for (const other of folder === 'cli' ? [] : others)
        assert.ok(used.has(`${folder} ${other}`), `${folder} imports nothing from ${other}`);
  });

  it('has an order: no folder may import from one below it', () => {
    const folders = [...order.keys()];
    for (const [folder, others] of order)
      for (const other of others)
        assert.ok(
          folders.indexOf(other) <= folders.indexOf(folder),
          `${folder} may import from ${other}, which stands below it`,
        );
  });

  it('has no folder that holds more than a sixth of it', () => {
    const lines = new Map<string, number>();
    let total = 0;
    for (const file of files) {
      const count = readFileSync(join('src', file), 'utf8').split('\n').length - 1;
      lines.set(folderOf(file), (lines.get(folderOf(file)) ?? 0) + count);
      total += count;
    }
    for (const [folder, count] of lines)
      assert.ok(count <= total * SHARE_MAX, `src/${folder} has ${count} of ${total} lines`);
  });
});
