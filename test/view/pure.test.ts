/** The browser runs src/view too: nothing that it loads may need Node. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

test('what the view loads, directly or not, imports only files, and none of Node', () => {
  const toRead = readdirSync('dist/view')
    .filter((name) => name.endsWith('.js'))
    .map((name) => join('dist/view', name));
  assert.ok(toRead.length > 5);
  const read = new Set<string>();
  for (let file = toRead.pop(); file !== undefined; file = toRead.pop()) {
    if (read.has(file)) continue;
    read.add(file);
    const text = readFileSync(file, 'utf8');
    assert.doesNotMatch(text, /\b(process|Buffer|require)\b[.(]/, file);
    for (const [, specifier] of text.matchAll(/(?:from|import|import\()\s*'([^']+)'/g)) {
      assert.match(specifier, /^\.\.?\//, `${file} imports ${specifier}`);
      toRead.push(join(dirname(file), specifier));
    }
  }
  assert.ok(read.has('dist/core/layout.gen.js'), 'imports are followed');
});
