/** Where a flow goes, for `which`: asked of the node that decides, or found by the file; and the rows that say so. */
import { existsSync } from 'node:fs';
import type { Explanation, WhichReport } from '../api/api.js';
import type { LoadedConfig } from '../config/types.js';
import { listsIn } from '../engine/defence.js';
import type { Lists } from '../forward/lists.js';
import { type Assembly, assemble, fixedPath, servedOf } from '../node/assemble.js';
import { explain } from '../node/explain.js';
import { parsePrefix } from '../packet/address.js';
import { type Endpoint, formatEndpoint } from '../packet/compose.js';
import { askDecider, type DeciderOptions, note, type State } from './decider.js';
import { compiledListsOf } from './list-files.js';
import { type ConfigOptions, loadFor, type NodeOptions } from './options.js';

export interface FlowOptions extends ConfigOptions, NodeOptions, DeciderOptions {}

export interface Flow {
  readonly proto: 'tcp' | 'udp';
  /** Both of one family. */
  readonly src: Endpoint;
  readonly dst: Endpoint;
}

export interface Decision {
  readonly state: State;
  readonly answer: Explanation;
}

/** Irrelevant: the packet is as small as possible. */
const MTU = 1500;

/**
 * Decides one flow after the other: where no node answers the first time, the file decides all of them.
 * @param isConfigNamed whether the user named the file
 */
export function flowDecider(options: FlowOptions, isConfigNamed: boolean): (flow: Flow) => Promise<Decision> {
  // With a socket, the file is not needed, and only root may be able to read it.
  const config = typeof options.socket === 'string' ? undefined : loadUnlessDefault(options, isConfigNamed);
  let assembly: Assembly | undefined;
  let lists: Lists | undefined;
  return async ({ proto, src, dst }) => {
    if (assembly === undefined) {
      const query = new URLSearchParams({
        protocol: proto,
        source: formatEndpoint(src),
        destination: formatEndpoint(dst),
      });
      const read = (value: unknown): WhichReport => value as WhichReport;
      const told = await askDecider(`/which?${query}`, read, options, config?.node.socket);
      if (told !== undefined) {
        const { answer, ...moment } = told.value;
        return { state: { from: 'node', ...moment }, answer };
      }
      assembly = assembled(config!);
      lists = listsIn(compiledListsOf(config!.defend, note));
    }
    return { state: { from: 'file', file: config!.file }, answer: explain(assembly, proto, src, dst, lists) };
  };
}

/** Undefined when the default file is missing: the node that runs here decides. */
function loadUnlessDefault(options: FlowOptions, isNamed: boolean): LoadedConfig<'flow'> | undefined {
  if (!isNamed && options.socket === undefined && !existsSync(options.config)) return undefined;
  return loadFor('flow', options);
}

function assembled(config: LoadedConfig<'flow'>): Assembly {
  const { node } = config;
  // Owners do not depend on the outer source, so the file may leave it to the nodes (RFC 5737, RFC 3849).
  const source4 = node.source4 ?? parsePrefix('192.0.2.1');
  const source6 = node.source6 ?? parsePrefix('2001:db8::1');
  return assemble(servedOf(config), { ...node, source4, source6 }, { generation: 1, path: fixedPath(MTU) });
}

/** The rows of a flow that got as far as a slot; none for others. */
export function flowRows(answer: Explanation): [string, string][] {
  if (answer.slot === undefined) return [];
  const stack = answer.stack!.map(({ backend, state, health, unreachable }) => {
    const notes = [
      ...(state === 'active' ? [] : [state]),
      ...(unreachable ? ['unreachable'] : health === 'up' ? [] : [health]),
    ];
    return notes.length === 0 ? backend : `${backend} (${notes.join(', ')})`;
  });
  return [
    ['service', `${answer.service}, pool ${answer.pool}`],
    ['hash', `0x${answer.hash!.toString(16).padStart(8, '0')}`],
    ['slot', `${answer.slot} of ${answer.slots}`],
    ['owner', ownerText(answer)],
    ['alternates', answer.alternates!.map(({ backend, id }) => `${backend} (id ${id})`).join(', ') || 'none'],
    ...formerRows(answer),
    ['key', answer.key ? `${answer.key.word}: ${answer.key.backends.join(', then ')}` : 'none'],
    ['stack', stack.join(', ')],
    ...noteRows(answer),
  ];
}

function formerRows({ formerKey }: Explanation): [string, string][] {
  if (formerKey === undefined) return [];
  const { id, slot, holders } = formerKey;
  return [['former key', `${id}: slot ${slot}, held by ${holders.join(', ') || 'nobody'}`]];
}

/** Who owns the slot, and why. */
export function ownerText({ owner, ownerAddress, stack = [] }: Explanation): string {
  if (owner === null) return 'none: no backend of the pool is eligible';
  const inStack = stack.findIndex(({ backend }) => backend === owner);
  const why =
    inStack < 0
      ? 'no backend in the stack is eligible; this is the first eligible one along the walk'
      : `the first eligible backend in the slot's stack, in layer ${inStack + 1}`;
  return `${owner} (${ownerAddress}): ${why}`;
}

export function noteRows({ mode }: Explanation): [string, string][] {
  return mode === undefined || mode === 'normal' ? [] : [['note', `the pool is resolved in mode "${mode}"`]];
}
