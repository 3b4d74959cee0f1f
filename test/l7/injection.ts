/**
 * Values that want to be more than values, in every place of the section `l7` that takes text. A config is rendered twice: with
 * hostile values, and with harmless words in their places. Both are read back (haproxy-words.ts) and must have the same
 * directives, word by word, with each harmless word replaced by the hostile value. So no value makes, ends or changes a directive.
 *
 * The values come by two ways: through the loader, which refuses most, and past it, straight to the renderer, its second line of
 * defence. What either lets through must be rendered rightly, and HAProxy must accept it.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ConfigError } from '#anyhop/config/error.js';
import type { L7Config } from '#anyhop/config/l7/types.js';
import { type FieldPath, formatPath } from '#anyhop/config/path.js';
import { Secret } from '#anyhop/config/secret.js';
import { checkGeneration } from '#anyhop/l7/haproxy/check.js';
import { Generations } from '#anyhop/l7/haproxy/generations.js';
import { renderL7 } from '#anyhop/l7/render/render.js';
import type { Rendering } from '#anyhop/l7/render/rendering.js';
import { mapEntries, wordsOf } from './haproxy-words.js';
import { loadL7, SERVER_NET } from './render-fixture.js';

const DIRECTORY = '/run/anyhop/l7/g1';
const FRONTENDS = 4;
const ROUTES = 3;
const UPSTREAMS = 4;
const SERVERS = 3;

type Kind =
  | 'name'
  | 'host'
  | 'wildcard'
  | 'path'
  | 'header name'
  | 'header value'
  | 'hash header'
  | 'cookie name'
  | 'cookie value'
  | 'url'
  | 'host with port'
  | 'TLS name';

/** The program compares hosts and names of headers in lower case. */
const LOWER_CASE: ReadonlySet<Kind> = new Set(['host', 'wildcard', 'header name']);

/** A place for a value. */
interface Slot {
  readonly kind: Kind;
  readonly index: number;
  /** The word in its place in the harmless config. */
  readonly word: string;
  readonly value: string;
}

/** Of a key, the place is that of its mapping. */
type Take = (kind: Kind, at: FieldPath, isKey?: boolean) => string;

/** A section `l7` with what `take` gives for each place, always asked in the same order. */
function section(take: Take): object {
  const upstreamNames = range(UPSTREAMS).map(() => take('name', ['l7', 'upstreams'], true));
  const upstreams = upstreamNames.map((name, i): [string, object] => {
    const at = ['l7', 'upstreams', name];
    const health = {
      kind: 'http',
      path: take('path', [...at, 'health', 'path']),
      host: take('host with port', [...at, 'health', 'host']),
    };
    const servers = range(SERVERS).map((j) => ({
      name: take('name', [...at, 'servers', j, 'name']),
      address: `${SERVER_NET}.${j + 1}`,
      port: 8080,
    }));
    const sticky = { cookie: take('cookie name', [...at, 'sticky', 'cookie']) };
    const hash =
      i % 2 === 0
        ? { header: take('hash header', [...at, 'hash_on']) }
        : { cookie: take('cookie name', [...at, 'hash_on']) };
    const tls = i < 2 ? { tls: { server_name: take('TLS name', [...at, 'tls', 'server_name']) } } : {};
    return [
      name,
      { health, servers, sticky, balance: 'hash', hash_on: hash, panic_threshold: '50%', ...tls },
    ];
  });
  const services = ['https', 'https6', 'http', 'ports'];
  const frontends = range(FRONTENDS).map((i): [string, object] => {
    const name = take('name', ['l7', 'frontends'], true);
    const at = ['l7', 'frontends', name];
    const header = (part: FieldPath): [string, string] => {
      const key = take('header name', [...at, ...part], true);
      return [key, take('header value', [...at, ...part, key])];
    };
    const routes: object[] = range(ROUTES).map((j) => ({
      host: take(j === 0 ? 'wildcard' : 'host', [...at, 'routes', j, 'host']),
      path: take('path', [...at, 'routes', j, 'path']),
      to: upstreamNames[(i + j) % UPSTREAMS],
    }));
    const place = [...at, 'routes', ROUTES];
    const cookie = take('cookie name', [...place, 'cookie'], true);
    routes.push({
      host: take('host', [...place, 'host']),
      header: Object.fromEntries([header(['routes', ROUTES, 'header'])]),
      cookie: { [cookie]: take('cookie value', [...place, 'cookie', cookie]) },
      to: upstreamNames[i % UPSTREAMS],
    });
    routes.push({
      host: take('host', [...at, 'routes', ROUTES + 1, 'host']),
      redirect: take('url', [...at, 'routes', ROUTES + 1, 'redirect']),
    });
    const headers = {
      set: Object.fromEntries([header(['headers', 'set'])]),
      remove: [take('header name', [...at, 'headers', 'remove', 0])],
      request: { set: Object.fromEntries([header(['headers', 'request', 'set'])]) },
      response: { set: Object.fromEntries([header(['headers', 'response', 'set'])]) },
    };
    return [name, { services: [services[i]], routes, headers }];
  });
  return { frontends: Object.fromEntries(frontends), upstreams: Object.fromEntries(upstreams) };
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

/** For how many values the section has places. */
const VALUES_PER_CONFIG: number = (() => {
  let count = 0;
  section(() => `w${count++}`);
  return count;
})();

/** Pieces with a meaning to HAProxy, to its log formats, expressions, conditions, map files or lists of certificates. */
const PIECES = [
  ...[' ', '\t', '\n', '\r', '\0', '"', "'", '\\', '#', '$', '%', '{', '}', '[', ']', '(', ')', '<', '>'],
  ...[
    ',',
    ';',
    ':',
    '*',
    '!',
    '?',
    '@',
    '|',
    '&',
    '=',
    '~',
    '^',
    '`',
    '+',
    '/',
    '.',
    '-',
    '_',
    '\x7f',
    '\x1b',
  ],
  ...['é', '\u2028', '\u{1f600}', '\ufeff', '\ud800'],
  ...[
    '$HOME',
    `$${'{HOME}'}`,
    `"$${'{HOME[*]}'}"`,
    '%%',
    '%[src]',
    '%[env(HOME)]',
    '%{+Q}o',
    '%ci',
    '\\x22',
    '\\n',
    '\\',
    '\\"',
  ],
  ...[
    ' if TRUE',
    ' unless FALSE',
    ' -f /etc/passwd',
    ' -m reg .*',
    ' -- ',
    ' }',
    ' { always_true }',
    ' || ',
    ' or ',
  ],
  ...[
    '\nbackend evil\n  server x 192.0.2.66:80',
    '\nglobal\n  insecure-fork-wanted',
    '"\n',
    "'\n",
    '\r\nHost: evil',
  ],
  ...[
    ' ssl verify none',
    ' id 1',
    ',map(/etc/passwd)',
    ',lower',
    '),lower(',
    '/../../',
    '//',
    '..',
    'u_',
    'b:',
    'c:0',
    'rp308:',
  ],
];
const PLAIN = [
  'a',
  'B',
  '7',
  'x-y',
  'x_y',
  'example',
  'com',
  '.',
  '-',
  '_',
  '/',
  ':',
  '=',
  '&',
  ' ',
  '%20',
  '"',
  '$',
  '%',
];

const letters = fc.constantFrom('', 'a', 'x1', 'example');
const text = fc.oneof(
  // One piece in harmless company: what a pattern that allows a character too many lets through.
  {
    weight: 3,
    arbitrary: fc.tuple(letters, fc.constantFrom(...PIECES), letters).map((parts) => parts.join('')),
  },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.constantFrom(...PIECES, ...PLAIN), { maxLength: 6 })
      .map((parts) => parts.join('')),
  },
  {
    weight: 1,
    arbitrary: fc.array(fc.constantFrom(...PLAIN), { maxLength: 8 }).map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
);

/** One config's worth of values. */
const hostileValues: fc.Arbitrary<string[]> = fc.array(text, {
  minLength: VALUES_PER_CONFIG,
  maxLength: VALUES_PER_CONFIG,
  size: 'max',
});

/** In the form that the place wants, and unlike any other value. */
function shaped(kind: Kind, value: string, index: number): string {
  const unique = `${value}q${index}`;
  if (kind === 'path') return `/${unique}`;
  if (kind === 'wildcard') return `*.${unique}`;
  if (kind === 'host' && unique.startsWith('*.')) return `x${unique}`; // it would be a good wildcard
  if (kind === 'url') return `https://${unique}`;
  return unique;
}

/** Begins every harmless word. */
const MARK = 'zq';

/** A harmless value in the same form. */
function harmless(kind: Kind, index: number, value: string): string {
  const word = `${MARK}${index}e`;
  if (kind === 'path') return `/${word}`;
  // With as many labels: the rules for wildcards follow their number.
  if (kind === 'wildcard')
    return `*.${value
      .slice(2)
      .split('.')
      .map((_, i) => word + 'l'.repeat(i))
      .join('.')}`;
  if (kind === 'url') return `https://${word}${/^https?:\/\/[^/]*\//i.test(value) ? '/' : ''}`;
  return word;
}

interface Filled {
  readonly config: L7Config;
  readonly slots: readonly Slot[];
  readonly refused: number;
}

/** With harmless words only. */
function harmlessConfig(slots: readonly Slot[]): L7Config {
  let next = 0;
  return loadL7(section(() => slots[next++]!.word));
}

/** Refused values are replaced by harmless ones. */
function throughLoader(values: readonly string[]): Filled {
  const refused = new Set<number>();
  for (;;) {
    const slots: Slot[] = [];
    const places: { readonly at: string; readonly isKey: boolean }[] = [];
    const source = section((kind, at, isKey = false) => {
      const index = slots.length;
      const shape = shaped(kind, values[index]!, index);
      const word = harmless(kind, index, shape);
      const value = refused.has(index) ? word : shape;
      slots.push({ kind, index, word, value });
      places.push({ at: formatPath(isKey ? [...at, value] : at), isKey });
      return value;
    });
    try {
      return { config: loadL7(source), slots: slots.map(inLowerCase), refused: refused.size };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const before = refused.size;
      for (const { field, message } of error.problems) {
        const isKey = /expected (?:a name|the name of a)|which the proxy hosts/.test(message);
        const exact = [...places.keys()].filter((index) => places[index]!.at === field);
        const meant = exact.filter((index) => places[index]!.isKey === isKey && !refused.has(index));
        for (const index of meant.length === 0 ? exact : meant) refused.add(index);
      }
      assert.ok(refused.size > before, `a problem without a place: ${error.message}`);
    }
  }
}

function inLowerCase(slot: Slot): Slot {
  return LOWER_CASE.has(slot.kind) ? { ...slot, value: slot.value.toLowerCase() } : slot;
}

/** Past the loader. What the renderer refuses is replaced by harmless values. */
function pastLoader(values: readonly string[]): Filled {
  const all: Slot[] = [];
  section((kind) => {
    const index = all.length;
    const value = shaped(kind, values[index]!, index);
    const word = harmless(kind, index, value);
    all.push({ kind, index, word, value });
    return word;
  });
  const base = harmlessConfig(all);
  let refused = 0;
  const slots = all.map((slot): Slot => {
    try {
      render(replaced(partWith(base, slot.word), [slot]));
      return slot;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refused++;
      return { ...slot, value: slot.word };
    }
  });
  return { config: replaced(base, slots), slots, refused };
}

/** What a word has to do with. */
function partWith(config: L7Config, word: string): L7Config {
  const has = (part: object): boolean => JSON.stringify(part).includes(`"${word}"`);
  return { ...config, frontends: config.frontends.filter(has), upstreams: config.upstreams.filter(has) };
}

/** A copy in which every text that is the word of a slot is its value. */
function replaced(config: L7Config, slots: readonly Slot[]): L7Config {
  const values = new Map(slots.map(({ word, value }) => [word, value]));
  const copy = (one: unknown): unknown => {
    if (typeof one === 'string') return values.get(one) ?? one;
    if (Array.isArray(one)) return one.map(copy);
    if (typeof one !== 'object' || one === null || one instanceof Secret || ArrayBuffer.isView(one))
      return one;
    return Object.fromEntries(Object.entries(one).map(([key, each]) => [key, copy(each)]));
  };
  return copy(config) as L7Config;
}

function render(config: L7Config, directory = DIRECTORY): Rendering {
  return renderL7(config, { directory, certificates: new Map(), now: new Date(0) });
}

/** The rendering has the directives of the harmless one, and no word is more or less than a value in its place. */
function checkRendering({ config, slots }: Filled): void {
  const rendering = render(config);
  const expected = render(harmlessConfig(slots));
  const inWord = substitution(slots, ({ kind, value }) =>
    kind === 'header value' ? value.replaceAll('%', '%%') : value,
  );
  const inMap = substitution(slots, ({ kind, value }) =>
    kind === 'header value' || kind === 'cookie value' ? percentEncoded(value) : value,
  );
  assert.equal(rendering.lines.length, expected.lines.length);
  for (const [i, { text }] of rendering.lines.entries()) {
    const harmlessWords = derivedLeftOut(wordsOf(expected.lines[i]!.text));
    for (const word of harmlessWords) checkWithin(word, slots);
    assert.deepEqual(derivedLeftOut(wordsOf(text)), harmlessWords.map(inWord));
  }
  const files = new Map([...expected.files].map(([name, content]) => [inWord(name), content]));
  assert.deepEqual([...rendering.files.keys()].sort(), [...files.keys()].sort());
  for (const [name, content] of rendering.files) {
    assert.match(name, /\.map$/, 'without certificates there are map files only');
    const entries = mapEntries(files.get(name)!).map((entry) => entry.map(inMap));
    assert.deepEqual(mapEntries(content).sort(), entries.sort(), name);
  }
}

/** A value that is part of a word stands in an expression, a log format or a name, where HAProxy reads more than quotes. */
function checkWithin(word: string, slots: readonly Slot[]): void {
  if (!word.includes(MARK)) return;
  for (const slot of slots)
    if (word !== slot.word && word.includes(slot.word))
      assert.match(slot.value, /^[A-Za-z0-9._-]+$/, `a ${slot.kind} within ${word}`);
}

/** What follows from names by a hash: the id of a server and the key of a cookie. */
function derivedLeftOut(words: readonly string[]): string[] {
  const [directive] = words;
  return words.map((word, i) => {
    if (directive === 'server' && words[i - 1] === 'id' && /^[1-9][0-9]{0,6}$/.test(word)) return 'ID';
    if (directive === 'dynamic-cookie-key' && i === 1 && /^[0-9a-f]{64}$/.test(word)) return 'KEY';
    return word;
  });
}

/** Puts the values of slots in the places of their words. */
function substitution(slots: readonly Slot[], written: (slot: Slot) => string): (text: string) => string {
  const values = new Map(
    slots.flatMap((slot): [string, string][] => {
      const own: [string, string] = [slot.word, written(slot)];
      return slot.kind === 'wildcard' ? [own, [reversed(slot.word), reversed(slot.value)]] : [own];
    }),
  );
  const words = [...values.keys()].sort((a, b) => b.length - a.length);
  const any = new RegExp(words.map((word) => word.replace(/[.*/]/g, '\\$&')).join('|'), 'g');
  return (text) => (text.includes(MARK) ? text.replace(any, (word) => values.get(word)!) : text);
}

/** The key of a wildcard in its map. */
function reversed(wildcard: string): string {
  return `${wildcard.slice(2).split('.').reverse().join('.')}.`;
}

function percentEncoded(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

export interface InjectionRun {
  /** At least so many values are tried. */
  readonly values: number;
  readonly seed?: number | undefined;
  /** A run directory, when HAProxy can judge every config too. */
  readonly run?: string | undefined;
}

export interface InjectionCounts {
  tried: number;
  /** By the loader, of half of the values, and by the renderer, of the other half. */
  refusedByLoader: number;
  refusedByRenderer: number;
}

/** Rejects with the shortest list of values for which the property does not hold, and the seed. */
export async function checkInjection({ values, seed, run }: InjectionRun): Promise<InjectionCounts> {
  const counts = { tried: 0, refusedByLoader: 0, refusedByRenderer: 0 };
  const generations = run === undefined ? undefined : await Generations.open(run, undefined);
  const check = async (filled: Filled): Promise<void> => {
    checkRendering(filled);
    if (generations === undefined) return;
    const generation = await generations.write((directory) => render(filled.config, directory));
    assert.deepEqual(await checkGeneration(generation, 'haproxy', undefined), []);
    await generations.removeAllBut(new Set());
  };
  const property = fc.asyncProperty(hostileValues, async (hostile) => {
    const loaded = throughLoader(hostile);
    await check(loaded);
    const direct = pastLoader(hostile);
    await check(direct);
    counts.tried += 2 * VALUES_PER_CONFIG;
    counts.refusedByLoader += loaded.refused;
    counts.refusedByRenderer += direct.refused;
  });
  const numRuns = Math.ceil(values / (2 * VALUES_PER_CONFIG));
  await fc.assert(property, { numRuns, ...(seed !== undefined && { seed }) });
  return counts;
}
