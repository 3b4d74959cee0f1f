/**
 * Config files as trees that tests can change: scalars are raw YAML text, mappings are lists of pairs (so that a key
 * can stand twice). `render` writes a tree down and tells on which line each field stands, without a YAML parser.
 */

export type Tree = string | Mapping | List;
export interface Mapping {
  readonly kind: 'mapping';
  readonly flow: boolean;
  readonly pairs: [key: string, value: Tree][];
}
export interface List {
  readonly kind: 'list';
  readonly flow: boolean;
  readonly items: Tree[];
}
export type Path = (string | number)[];

export const mapping = (flow: boolean, pairs: [string, Tree][]): Mapping => ({
  kind: 'mapping',
  flow,
  pairs,
});
export const list = (flow: boolean, items: Tree[]): List => ({ kind: 'list', flow, items });

export interface Rendered {
  readonly text: string;
  /** Line (from 1) of each field, by its path as the program writes it; of two with one path, the later. */
  readonly lines: ReadonlyMap<string, number>;
}

export function render(root: Mapping): Rendered {
  const rows: string[] = [];
  const lines = new Map<string, number>();
  const note = (path: Path) => lines.set(pathText(path), rows.length);

  /** Everything within a flow collection stands on the row that is last now. */
  const flowText = (tree: Tree, path: Path): string => {
    note(path);
    if (typeof tree === 'string') return tree;
    if (tree.kind === 'list')
      return `[${tree.items.map((item, i) => flowText(item, [...path, i])).join(', ')}]`;
    return `{${tree.pairs.map(([key, value]) => `${key}: ${flowText(value, [...path, key])}`).join(', ')}}`;
  };
  const isInline = (tree: Tree) =>
    typeof tree === 'string' || tree.flow || (tree.kind === 'list' ? tree.items : tree.pairs).length === 0;
  const value = (tree: Tree, path: Path, indent: string, lead: string) => {
    rows.push(lead);
    note(path);
    if (isInline(tree)) rows[rows.length - 1] += ` ${flowText(tree, path)}`;
    else if (typeof tree !== 'string' && tree.kind === 'mapping') pairs(tree, path, `${indent}  `);
    else if (typeof tree !== 'string') items(tree as List, path, `${indent}  `);
  };
  const pairs = (tree: Mapping, path: Path, indent: string) => {
    for (const [key, child] of tree.pairs) value(child, [...path, key], indent, `${indent}${key}:`);
  };
  const items = (tree: List, path: Path, indent: string) => {
    for (const [index, item] of tree.items.entries()) {
      const here = [...path, index];
      if (isInline(item) || typeof item === 'string' || item.kind === 'list') {
        value(item, here, indent, `${indent}-`);
        continue;
      }
      const start = rows.length;
      pairs(item, here, `${indent}  `);
      rows[start] = `${indent}- ${rows[start].slice(indent.length + 2)}`;
      lines.set(pathText(here), start + 1);
    }
  };
  pairs(root, [], '');
  lines.set('', 1);
  return { text: `${rows.join('\n')}\n`, lines };
}

/** The same writing as the program's, done anew. */
export function pathText(path: Path): string {
  return path
    .map((step, depth) => (typeof step === 'number' ? `[${step}]` : depth === 0 ? step : `.${step}`))
    .join('');
}

export function at(root: Tree, path: Path): Tree {
  let tree = root;
  for (const step of path) {
    if (typeof tree === 'string') throw new Error(`no ${pathText(path)}`);
    const child =
      tree.kind === 'list' ? tree.items[Number(step)] : tree.pairs.find(([key]) => key === step)?.[1];
    if (child === undefined) throw new Error(`no ${pathText(path)}`);
    tree = child;
  }
  return tree;
}

export function put(root: Tree, path: Path, value: Tree): void {
  const parent = at(root, path.slice(0, -1));
  const step = path[path.length - 1];
  if (typeof parent === 'string') throw new Error('a scalar has no fields');
  if (parent.kind === 'list') parent.items[Number(step)] = value;
  else {
    const pair = parent.pairs.find(([key]) => key === step);
    if (pair === undefined) parent.pairs.push([String(step), value]);
    else pair[1] = value;
  }
}

export function remove(root: Tree, path: Path): void {
  const parent = at(root, path.slice(0, -1)) as Mapping;
  const index = parent.pairs.findIndex(([key]) => key === path[path.length - 1]);
  if (index >= 0) parent.pairs.splice(index, 1);
}

/** Every path of the tree whose value satisfies the test. */
export function paths(root: Tree, test: (path: Path, tree: Tree) => boolean): Path[] {
  const found: Path[] = [];
  const walk = (tree: Tree, path: Path) => {
    if (path.length > 0 && test(path, tree)) found.push(path);
    if (typeof tree === 'string') return;
    if (tree.kind === 'list') for (const [i, item] of tree.items.entries()) walk(item, [...path, i]);
    else for (const [key, child] of tree.pairs) walk(child, [...path, key]);
  };
  walk(root, []);
  return found;
}
