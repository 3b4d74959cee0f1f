/**
 * HAProxy's rules that look a request up in the map files (maps.ts), in their order. After them `txn.action` is `b:UPSTREAM`; a
 * request with a redirect, or without a route, has been answered. explain.ts has the same steps.
 *
 * A look-up that finds nothing leaves a variable as it is. The rules on conditions rely on it: their keys name a node, so they
 * change nothing for a request that has its action already.
 *
 * The number of rules follows the kinds of things that occur, not the number of routes: one for each label of the longest
 * wildcard, each name in conditions and each kind of redirect.
 */
import { join } from 'node:path';
import { NODE_PREFIX, redirectPrefix, UPSTREAM_PREFIX } from './action.js';
import type { CompiledRoutes } from './compile.js';
import type { Source } from './conditions.js';
import { conditionKeyMiddle, MAP_FILES } from './maps.js';
import { ANY_HOST } from './matching.js';

/** One line of HAProxy's configuration, as words before quoting. */
export interface Rule {
  readonly words: readonly string[];
  /** Index of the route that needs it; undefined when all do. */
  readonly route?: number;
}

/** @param directory absolute, where the map files are @throws RangeError when its name would end an argument in HAProxy's expressions */
export function routeRules(compiled: CompiledRoutes, directory: string): Rule[] {
  if (!/^\/[A-Za-z0-9/._-]*$/.test(directory)) throw new RangeError(`directory of map files: ${directory}`);
  const map = (file: keyof typeof MAP_FILES) => join(directory, MAP_FILES[file]);
  return [
    ...groupRules(compiled, map('groups'), map('suffixes')),
    setVar('path', 'path'),
    setVar('action', `var(txn.group),concat(,txn.path,/),map_beg(${map('paths')})`),
    ...conditionRules(compiled, map('conditions')),
    ...redirectRules(compiled),
    { words: ['http-request', 'return', 'status', '404', 'default-errorfiles', ...unless(UPSTREAM_PREFIX)] },
  ];
}

function groupRules(
  { hosts, suffixLabels, hasAnyHost }: CompiledRoutes,
  groups: string,
  suffixes: string,
): Rule[] {
  const rules: Rule[] = [];
  // `host_only` makes it lower case too.
  const host = 'req.fhdr(host),host_only,rtrim(.)';
  const notFound = ['if', '!{', 'var(txn.group)', '-m', 'found', '}'];
  if (hosts.size > 0) rules.push(setVar('group', `${host},map_str(${groups})`));
  if (suffixLabels > 0) {
    // The first label is what the wildcard stands for; the others are reversed, as in the keys.
    const labels = Array.from({ length: suffixLabels }, (_, i) => `%[var(txn.suffix),field(-${i + 1},.)].`);
    rules.push(
      setVar('suffix', `${host},word(2,.,0)`, notFound),
      { words: ['http-request', 'set-var-fmt(txn.reversed)', labels.join(''), ...notFound] },
      setVar('group', `var(txn.reversed),map_beg(${suffixes})`, notFound),
    );
  }
  if (hasAnyHost) rules.push(setVar('group', `str(${ANY_HOST})`, rules.length > 0 ? notFound : []));
  return rules;
}

function conditionRules({ sources, nodes }: CompiledRoutes, conditions: string): Rule[] {
  if (nodes.length === 0) return [];
  const open = ['if', '{', 'var(txn.action)', '-m', 'beg', NODE_PREFIX, '}'];
  const look = (source: Source) =>
    `${fetchOf(source)},url_enc,concat(${conditionKeyMiddle(source)},txn.action),map_str(${conditions})`;
  return [
    ...[...sources].map(([source, route]): Rule => ({ ...setVar('action', look(source), open), route })),
    setVar('action', `var(txn.action),map_str(${conditions})`, open),
  ];
}

/** Without an occurrence, both take the last; `fhdr` does not split at commas. */
function fetchOf(source: Source): string {
  const name = source.slice(source.indexOf(':') + 1);
  if (!/^[A-Za-z0-9_-]+$/.test(name)) throw new RangeError(`name in a condition: ${name}`);
  return source.startsWith('header:') ? `req.fhdr(${name})` : `req.cook(${name})`;
}

function redirectRules({ redirects }: CompiledRoutes): Rule[] {
  return [...redirects.values()].map(({ redirect, route }) => {
    const prefix = redirectPrefix(redirect);
    const kind = redirect.isPrefix ? 'prefix' : 'location';
    // The URL is the rest of the action.
    const url = '%[var(txn.action),field(2,:,0)]';
    const words = ['http-request', 'redirect', kind, url, 'code', String(redirect.status)];
    return { words: [...words, 'if', '{', 'var(txn.action)', '-m', 'beg', prefix, '}'], route };
  });
}

function setVar(name: string, expression: string, condition: readonly string[] = []): Rule {
  return { words: ['http-request', `set-var(txn.${name})`, expression, ...condition] };
}

function unless(prefix: string): string[] {
  return ['unless', '{', 'var(txn.action)', '-m', 'beg', prefix, '}'];
}
