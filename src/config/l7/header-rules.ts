/** Rules on headers and cookies by name: in the conditions of routes, and in the headers that a frontend sets and removes. */
import { L7_HEADERS_MAX } from '../../core/limits.js';
import { type FieldPath, quote } from '../path.js';
import { type At, describePlace, type Report } from '../problems.js';
import { isDistrusted, RESERVED_HEADERS } from './header-names.js';
import type { DraftFrontend, DraftPairs, DraftRoute, Judge } from './judge.js';
import { TOKEN_EXPECTED, TOKEN_PATTERN } from './patterns.js';

type Edits = Pick<NonNullable<DraftFrontend['headers']>, 'set' | 'remove'> | undefined;

export function checkConditions({ headers, cookies }: DraftRoute, { report, warn }: Judge): void {
  checkPairs('header', headers, report);
  checkPairs('cookie', cookies, report);
  for (const { at, name } of headers ?? []) {
    const field = { host: 'host', cookie: 'cookie' }[name.toLowerCase()];
    if (field !== undefined)
      report(at, `found ${quote(name)}; expected the field ${field} of the route for it`, 'key');
    else if (isDistrusted(name))
      warn(
        at,
        `the proxy hosts remove ${quote(name)} from requests before routes are compared: no request takes this one`,
        'key',
      );
    else refuseReserved(at, name, report, 'key');
  }
}

/** Requests and responses are edited by what stands for both, and by what stands for one of them. */
export function checkHeaders(headers: DraftFrontend['headers'], judge: Judge): void {
  if (headers === undefined) return;
  const { request, response } = headers;
  for (const part of [headers, request, response]) {
    checkPairs('header', part?.set, judge.report);
    for (const { at, name, part: which } of editsOf(part)) refuseReserved(at, name, judge.report, which);
  }
  for (const parts of [[headers], [headers, request], [headers, response]]) refuseTwice(parts, judge);
}

interface Edit {
  readonly at: At;
  readonly name: string;
  /** Where the name stands. */
  readonly part: 'key' | 'value';
}

function editsOf(edits: Edits): Edit[] {
  return [
    ...(edits?.set ?? []).map(({ at, name }): Edit => ({ at, name, part: 'key' })),
    ...(edits?.remove ?? []).map(({ at, value }): Edit => ({ at, name: value, part: 'value' })),
  ];
}

/** `checkPairs` has reported a name that stands twice in one mapping. */
function refuseTwice(parts: readonly Edits[], { document, report }: Judge): void {
  const first = new Map<string, At>();
  for (const part of parts) {
    const own = new Set<string>();
    for (const { at, name, part: which } of editsOf(part)) {
      const key = name.toLowerCase();
      const before = first.get(key);
      if (before !== undefined && !(which === 'key' && own.has(key)))
        report(
          at,
          `found the header ${quote(name)}, which ${describePlace(document, before)} sets or removes already; expected it once`,
          which,
        );
      first.set(key, before ?? at);
      own.add(key);
    }
  }
}

function refuseReserved(at: At, name: string, report: Report, part: Edit['part']): void {
  if (!RESERVED_HEADERS.has(name.toLowerCase())) return;
  report(
    at,
    `found ${quote(name)}, which the proxy hosts and HTTP itself set; expected another header`,
    part,
  );
}

function checkPairs(what: 'header' | 'cookie', pairs: DraftPairs, report: Report): void {
  if (pairs === undefined || pairs.length === 0) return;
  if (pairs.length > L7_HEADERS_MAX)
    report(
      (pairs[0]!.at as FieldPath).slice(0, -1),
      `found ${pairs.length} ${what}s; expected ${L7_HEADERS_MAX} at most`,
    );
  const seen = new Set<string>();
  for (const { at, name } of pairs) {
    if (!TOKEN_PATTERN.test(name))
      report(at, `found ${quote(name)}; expected the name of a ${what}: ${TOKEN_EXPECTED}`, 'key');
    const key = what === 'header' ? name.toLowerCase() : name;
    if (seen.has(key))
      report(
        at,
        `found the header ${quote(name)} twice; expected it once: case does not matter in names of headers`,
        'key',
      );
    seen.add(key);
  }
}
