/** Rules on the sections `metrics` and on `node.siblings`: what goes together. */
import { SIBLINGS_MAX } from '../../core/limits.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftMetrics } from '../draft.js';
import { formatEndpoint } from '../endpoint.js';
import { quote } from '../path.js';
import { type At, describePlace, type Report } from '../problems.js';
import { isLoopback } from './types.js';

export function checkMetrics(draft: Draft, document: ConfigDocument, report: Report, warn: Report): void {
  for (const metrics of sectionsOf(draft)) checkSection(metrics, report, warn);
  checkSiblings(draft, document, report);
}

function sectionsOf({ node, agent, l7, announce }: Draft): DraftMetrics[] {
  return [node, agent, l7, announce].flatMap((section) => section?.metrics ?? []);
}

function checkSection({ at, written, wrong, listen }: DraftMetrics, report: Report, warn: Report): void {
  const has = (field: string): boolean => written.has(field);
  if (has('ca_file') && !has('certificate'))
    report(
      [...at, 'certificate'],
      'missing; expected the file of a certificate: clients show theirs over TLS',
    );
  if (has('user') && !has('password_file'))
    report([...at, 'password_file'], 'missing; expected the file with the password of user');
  if (has('password_file') && !has('user'))
    report([...at, 'user'], 'missing; expected the user whose password is in password_file');
  if (wrong.has('listen') || isLoopback(listen)) return;
  const isGuarded = has('certificate') && (has('ca_file') || has('user'));
  if (!isGuarded)
    warn(
      [...at, 'listen'],
      `${formatEndpoint(listen)} is no loopback address, and ${whatIsMissing(has)}: whoever reaches it reads names, addresses and rates of the fleet; ` +
        'advised: certificate with ca_file, or with user and password_file',
    );
}

function whatIsMissing(has: (field: string) => boolean): string {
  if (!has('certificate'))
    return has('user') ? 'the password crosses the network in plain text' : 'it answers anybody';
  return 'it answers anybody, over TLS';
}

function checkSiblings({ node }: Draft, document: ConfigDocument, report: Report): void {
  const { siblings = [] } = node ?? {};
  if (node === undefined || siblings.length === 0) return;
  const at: At = [...node.at, 'siblings'];
  if (siblings.length > SIBLINGS_MAX)
    report(at, `found ${siblings.length} siblings; expected ${SIBLINGS_MAX} at most`);
  for (const field of ['certificate', 'ca_file'])
    if (!node.metrics?.written.has(field))
      report(
        [...(node.metrics?.at ?? [...node.at, 'metrics']), field],
        'missing; expected a file: siblings are asked over TLS with certificates on both sides',
      );
  const seen = new Map<string, At>();
  const once = (kind: string, value: string, place: At): void => {
    const first = seen.get(`${kind} ${value}`);
    if (first === undefined) seen.set(`${kind} ${value}`, place);
    else
      report(
        place,
        `the ${kind} ${quote(value)} is listed before (${describePlace(document, first)}); expected each once`,
      );
  };
  for (const sibling of siblings) {
    if (sibling.name !== undefined) once('name', sibling.name, [...sibling.at, 'name']);
    if (sibling.address !== undefined)
      once('address', formatEndpoint(sibling.address), [...sibling.at, 'address']);
  }
}
