/** Routes and requests for tests of src/l7/routes: written by hand, or generated so that they often meet. */
import fc from 'fast-check';
import type { L7Redirect, L7Route, NameValue } from '#anyhop/config/l7/types.js';
import type { RouteRequest } from '#anyhop/l7/routes/explain.js';

/** @param parts `to` is the default upstream when there is no redirect */
export function route(parts: Partial<L7Route> = {}): L7Route {
  const { host, path = '/', headers = [], cookies = [], redirect } = parts;
  const to = redirect === undefined ? (parts.to ?? 'shop') : undefined;
  return { host, path, headers, cookies, to, redirect };
}

export function header(name: string, value: string): NameValue[] {
  return [{ name, value }];
}

export function request(
  host: string | undefined,
  path: string | undefined = '/',
  headers: readonly NameValue[] = [],
): RouteRequest {
  return { host, path, headers };
}

const HOSTS = [
  'example.com',
  'a.example.com',
  'b.a.example.com',
  'c.b.a.example.com',
  'x.c.b.a.example.com',
  'example.org',
  'com',
  'localhost',
  '192.0.2.1',
];
/** Segments of paths: with capitals, escapes and dots, some a prefix of others, and the empty one. */
const SEGMENTS = ['v1', 'v1x', 'V1', 'a', '', '.', '..', '%2f', '%61', 'a%2Fb', "x~!$&*+,;=:@'"];
/** Of paths in the config: no quotes there. */
const ROUTE_SEGMENTS = SEGMENTS.map((segment) => segment.replace("'", ''));
const HEADER_NAMES = ['x-a', 'x-b', 'x-c_1'];
const COOKIE_NAMES = ['g', 'G', 'group-1'];
const HEADER_VALUES = [
  '1',
  '2',
  'a,b',
  'a',
  'b',
  'a b',
  '%20',
  '"q"',
  'c:0',
  '/header:x-a/c:0',
  '#',
  '}',
  '\\',
  '-',
];
const COOKIE_VALUES = ['1', '2', 'a=b', '%20', '/', '#1'];

const pick = <T>(values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

const hostPattern = fc.oneof(
  pick(HOSTS),
  pick(HOSTS.slice(0, 7)).map((host) => `*.${host}`),
  fc.constant(undefined),
);

const routePath = fc
  .tuple(
    fc.oneof(fc.constant<string[]>([]), fc.array(pick(ROUTE_SEGMENTS), { minLength: 1, maxLength: 3 })),
    fc.boolean(),
  )
  .map(([segments, hasSlash]) => `/${segments.join('/')}${hasSlash ? '/' : ''}`);

function conditions(names: readonly string[], values: readonly string[]): fc.Arbitrary<NameValue[]> {
  const one = fc.record({ name: pick(names), value: pick(values) });
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant<NameValue[]>([]) },
    {
      weight: 3,
      arbitrary: fc.uniqueArray(one, { minLength: 1, maxLength: 2, selector: ({ name }) => name }),
    },
  );
}

const redirect: fc.Arbitrary<L7Redirect> = fc.record({
  url: pick(['https://shop.example.com', 'http://a.example:8080', 'https://a.example/%20/x;y=1:2,3']),
  isPrefix: fc.boolean(),
  status: pick([301, 302, 303, 307, 308] as const),
});

/** Every route has an action of its own, so that an answer names the route. */
export const routes: fc.Arbitrary<L7Route[]> = fc
  .array(
    fc.record({
      host: hostPattern,
      path: routePath,
      headers: conditions(HEADER_NAMES, HEADER_VALUES),
      cookies: conditions(COOKIE_NAMES, COOKIE_VALUES),
      redirect: fc.oneof(
        { weight: 5, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: redirect },
      ),
    }),
    { minLength: 1, maxLength: 25, size: 'max' },
  )
  .map((list) =>
    list.map((parts, i) =>
      parts.redirect === undefined
        ? route({ ...parts, to: `u${i}` })
        : route({ ...parts, redirect: { ...parts.redirect, url: `${parts.redirect.url}${i}` } }),
    ),
  );

const oddHost = pick([
  undefined,
  '',
  '.',
  '...',
  '[::1]',
  '[2001:DB8::1]:8080',
  '[::1]:',
  'a:b:80',
  'example.com:80.',
  '.example.com',
  '..a.example.com',
  'a..example.com',
  'a.example..com',
  'a,example.com',
  'user@example.com',
  '*.example.com',
  '*',
  'exa mple.com',
  'com.example.',
  '127.0.0.1:1',
]);

const usualHost = fc
  .record({
    name: fc.oneof(
      pick(HOSTS),
      pick(HOSTS).map((host) => `q.${host}`),
      pick(HOSTS).map((host) => `q.r.${host}`),
    ),
    isUpper: fc.boolean(),
    end: pick(['', '', '', '.', '..', ':80', ':', '.:443', ':abc']),
  })
  .map(({ name, isUpper, end }) => `${isUpper ? name.toUpperCase() : name}${end}`);

const requestPath = fc
  .tuple(fc.array(pick(SEGMENTS), { maxLength: 4 }), pick(['', '', '/', '//', '?', '?x=/v1/', '/?a=b?c']))
  .map(([segments, end]) => `/${segments.join('/')}${end}`);

const cookieLine = fc
  .array(
    fc.oneof(
      fc
        .tuple(pick(COOKIE_NAMES), pick(COOKIE_VALUES), pick(['=', '=', '=', ' = ']))
        .map(([name, value, sign]) => name + sign + value),
      pick([
        '',
        'g',
        'g=',
        '=',
        '$g=1',
        'x="',
        '"g=1"',
        'x="a;g=1"',
        'x"=1',
        'x=\\"1',
        'x="\\";g=2"',
        ' ',
        'g="1"',
        'g=1 2',
      ]),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .chain((parts) => pick(['; ', ';', ', ', ',', ' ;']).map((separator) => parts.join(separator)));

const headerLine = fc.oneof(
  fc
    .tuple(
      pick(HEADER_NAMES),
      fc.boolean(),
      pick([...HEADER_VALUES, '', 'b,a', 'A']),
      pick(['', '', ' ', '\t ']),
    )
    .map(([name, isUpper, value, space]) => ({
      name: isUpper ? name.toUpperCase() : name,
      value: space + value + space,
    })),
  cookieLine.map((value) => ({ name: 'Cookie', value })),
);

export const requests: fc.Arbitrary<RouteRequest> = fc.record({
  host: fc.oneof({ weight: 8, arbitrary: usualHost }, { weight: 1, arbitrary: oddHost }),
  path: fc.oneof({ weight: 30, arbitrary: requestPath }, { weight: 1, arbitrary: fc.constant(undefined) }),
  headers: fc.array(headerLine, { maxLength: 4 }),
});
