/** The README is true of the program where a machine can tell. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { VERDICTS } from '#anyhop/core/layout.gen.js';

const readme = readFileSync('README.md', 'utf8');

describe('README', () => {
  it('lists every verdict with its meaning, and no other', () => {
    const rows = [...readme.matchAll(/^\| `((?:forwarded|echo_|too_|pass_|drop_)\w*)` \| (.*) \|$/gm)];
    assert.deepEqual(
      rows.map(([, name, meaning]) => [name, meaning]),
      VERDICTS.map(({ name, description }) => [name, description]),
    );
  });

  it('lists every command, and no other', () => {
    const help = execFileSync(process.execPath, ['dist/main.js', '--help'], { encoding: 'utf8' });
    const commands = [...help.matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, name]) => name)
      .filter((name) => name !== 'help');
    const section = readme.slice(readme.indexOf('\n## Commands'), readme.indexOf('\n## Config'));
    const listed = [...section.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name]) => name);
    assert.deepEqual(listed.toSorted(), commands.toSorted());
  });

  it('has no place left to fill in', () => assert.doesNotMatch(readme, /@@/));

  it('names no file that is not there', () => {
    for (const [, path] of readme.matchAll(/\]\(((?!http)[^)#]+)\)/g))
      assert.ok(readFileSync(path).length > 0, path);
  });
});
