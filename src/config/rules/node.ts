/** Rules on node and agent: what each role needs, and which addresses may send GRE. */
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftSource } from '../draft.js';
import { describePlace, type Report } from '../problems.js';
import type { Role } from '../types.js';
import { whyUnusable } from './address.js';

/** Sections and fields that only some roles need. */
export function checkNeeds(draft: Draft, role: Role, report: Report): void {
  const { written } = draft;
  const needsNode = role === 'run' || role === 'node' || role === 'flow' || role === 'siblings';
  if (needsNode && !written.has('node')) {
    report(['node'], 'missing; expected a mapping with this node: interface, source, key_file');
  }
  if (role === 'fleet' && !written.has('fleet'))
    report(['fleet'], 'missing; expected a mapping {name: ..., endpoints: [...], operator_key: ...}');
  // A DNS host has neither, and a host of a fleet has both from the store.
  if (role === 'region' || role === 'regions' || role === 'fleet') return;
  if (written.has('fleet') && !written.has('pools')) {
    report(
      ['fleet'],
      'pools and services come from the fleet, of which no revision was in force on this host yet; "anyhop fleet apply" puts one in force, and this host must run then',
    );
    return;
  }
  if (!written.has('pools')) report(['pools'], 'missing; expected a mapping of pools by name');
  if (role !== 'pools' && !written.has('services')) {
    report(['services'], 'missing; expected a list of services');
  }
  if (role !== 'pools' && draft.serviceCount === 0) {
    report(['services'], 'found an empty list; expected at least one service');
  }
  if ((role === 'agent' || role === 'l7') && !written.has('agent')) {
    report(
      ['agent'],
      'missing; expected a mapping {forwarders: [...]}: the agent accepts GRE only from these',
    );
  }
  if (needsNode && draft.node !== undefined) checkNodeNeeds(draft.node, role, report);
}

function checkNodeNeeds(node: NonNullable<Draft['node']>, role: Role, report: Report): void {
  const isNode = role !== 'flow' && role !== 'siblings';
  if (isNode && (node.sources ?? []).length === 0 && !node.written.has('source')) {
    report(
      [...node.at, 'source'],
      'missing; expected the source address of GRE packets, here, with --source or in ANYHOP_SOURCE',
    );
  }
  if (role === 'run' && !node.written.has('interface')) {
    report(
      [...node.at, 'interface'],
      'missing; expected the name of a network interface, here, with --interface or in ANYHOP_INTERFACE',
    );
  }
  if (!node.written.has('key') && !node.written.has('key_file')) {
    report(
      [...node.at, 'key_file'],
      'missing; expected the path of the file with the secret of the fleet (or key)',
    );
  }
}

export function checkNode(draft: Draft, document: ConfigDocument, report: Report): void {
  const { node, agent } = draft;
  if (node?.written.has('key') && node.written.has('key_file')) {
    report([...node.at, 'key_file'], 'found both key and key_file; expected one of the two', 'key');
  }
  const byFamily = new Map<number, DraftSource>();
  for (const source of node?.sources ?? []) {
    const why = whyUnusable(source.value);
    if (why !== undefined) report(source.at, `${why}; expected a source address for GRE packets`);
    const { family } = source.value.address;
    if (family === 6 && source.value.length < 128) {
      report(
        source.at,
        `found the prefix ${source.value.text}; expected one IPv6 address: over IPv6 the flow label spreads the flows`,
      );
    }
    const other = byFamily.get(family);
    if (other === undefined) byFamily.set(family, source);
    else {
      report(
        source.at,
        `found a second IPv${family} entry (the first: ${describePlace(document, other.at)}); ` +
          'expected one IPv4 and one IPv6 entry at most',
      );
    }
  }
  if (node?.secondChancePrefix !== undefined) {
    const why = whyUnusable(node.secondChancePrefix);
    if (why !== undefined)
      report([...node.at, 'second_chance_prefix'], `${why}; expected the prefix of the IPv6 backends`);
  }
  for (const { at, value: prefix } of agent?.forwarders ?? []) {
    const why = whyUnusable(prefix);
    if (why !== undefined) report(at, `${why}; expected source addresses of forwarders`);
  }
}
