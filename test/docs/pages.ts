/** The project's documentation, as the tests of it read it. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Page {
  /** From the project's folder. */
  readonly path: string;
  readonly text: string;
}

/** Every page that people read: those at the top, `docs/`, and the README of each folder. */
export function pages(): Page[] {
  const inFolders = ['docs', 'src', 'native', 'test', 'bench', 'scripts'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  );
  const atTop = readdirSync('.').filter((name) => name.endsWith('.md'));
  return [...atTop, ...inFolders].sort().map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

/** The code of a page: the lines of its fenced and indented blocks, and its inline code. */
export function codeIn(text: string): string[] {
  const lines: string[] = [];
  let fenced = false;
  let blank = true;
  let indented = false;
  for (const line of text.split('\n')) {
    if (line.trimStart().startsWith('```')) fenced = !fenced;
    else if (fenced) lines.push(line.trim());
    else {
      indented = /^ {4}/.test(line) && (blank || indented);
      if (indented) lines.push(line.trim());
      else lines.push(...[...line.matchAll(/`([^`]+)`/g)].map(([, code]) => code));
    }
    blank = line.trim() === '';
  }
  return lines;
}

/** The anchors of a page's headings, as the common hosts of Markdown make them. */
export function anchors(text: string): Set<string> {
  const outside = text.replaceAll(/^```[\s\S]*?^```$/gm, '');
  return new Set(
    [...outside.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9 _-]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}
