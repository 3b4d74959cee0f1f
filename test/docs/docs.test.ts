/** The documentation is true of the program where a machine can tell. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { anchors, codeIn, pages } from './pages.js';

const PAGE_LINES_MAX = 250;
const README_LINES_MAX = 200;

/** By command: its help, from the reference page, which `make check` holds to the program. */
const help = new Map(
  readFileSync('docs/reference/commands.md', 'utf8')
    .split(/\n###? /)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section]),
);

describe('documentation', () => {
  it('links to files and headings that are there', () => {
    for (const { path, text } of pages())
      for (const [, target] of text.matchAll(/\]\(((?!https?:)[^)\s]+)\)/g)) {
        const [file, anchor] = target.split('#');
        const to = file === '' ? path : join(dirname(path), file);
        assert.ok(existsSync(to), `${path} links to ${target}`);
        if (anchor === undefined) continue;
        assert.ok(
          statSync(to).isFile() && anchors(readFileSync(to, 'utf8')).has(anchor),
          `${path} links to ${target}`,
        );
      }
  });

  it('shows only commands and options that the program has', () => {
    const shown = pages().flatMap(({ path, text }) =>
      codeIn(text).flatMap((line) =>
        [
          ...line.matchAll(
            /(?:^|[\s/])anyhop ((?:(?:l7|defend|fleet|backend) )?[a-z]+(?:-[a-z]+)*)\b([^#|;&]*)/g,
          ),
        ].map(([, name, rest]) => ({
          path,
          name,
          rest,
        })),
      ),
    );
    assert.ok(shown.length > 30, 'the pages show commands');
    for (const { path, name, rest } of shown) {
      const text = help.get(name);
      assert.ok(text !== undefined, `${path}: no command ${name}`);
      for (const [option] of rest.matchAll(/(?<=\s)--?[a-z][a-z-]*/g))
        assert.match(text, new RegExp(`[\\s,]${option}[\\s,]`), `${path}: anyhop ${name} has no ${option}`);
    }
  });

  it('names only make targets that are there', () => {
    const targets = new Set(
      [...readFileSync('Makefile', 'utf8').matchAll(/^([a-z0-9-]+):/gm)].map(([, target]) => target),
    );
    for (const { path, text } of pages())
      for (const line of codeIn(text))
        for (const [, target] of line.matchAll(/(?:^|&& )make ([a-z0-9-]+)/g))
          assert.ok(targets.has(target), `${path}: make ${target}`);
  });

  it('has a short README and pages that can be read in one sitting', () => {
    for (const { path, text } of pages().filter(
      ({ path }) => path.startsWith('docs/') || path === 'README.md',
    )) {
      if (path.startsWith('docs/reference/')) continue;
      const most = path === 'README.md' ? README_LINES_MAX : PAGE_LINES_MAX;
      assert.ok(text.split('\n').length <= most, `${path} has more than ${most} lines`);
    }
  });

  it('lists every page of docs/ in its index', () => {
    const index = readFileSync('docs/README.md', 'utf8');
    for (const { path } of pages().filter(
      ({ path }) => path.startsWith('docs/') && path !== 'docs/README.md',
    ))
      assert.ok(index.includes(`](${path.slice('docs/'.length)})`), `docs/README.md does not list ${path}`);
  });
});
