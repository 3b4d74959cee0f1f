/**
 * Settings that differ between the nodes of a fleet with one file: name, interface, source, engine and state directory. The
 * command line overrides the environment, which overrides the file.
 */
import type { z } from 'zod';
import type { Draft, DraftNode } from './draft.js';
import { name as nameField, path, prefix } from './name-fields.js';
import { quote } from './path.js';
import type { Outside, Report } from './problems.js';
import { networkInterface as interfaceField } from './schema.js';
import type { EngineChoice, Role } from './types.js';

export interface Overrides {
  readonly name?: string | undefined;
  readonly interface?: string | undefined;
  /** Addresses or prefixes; an entry may have several, separated by commas. */
  readonly source?: readonly string[] | undefined;
  readonly stateDirectory?: string | undefined;
  readonly engine?: EngineChoice | undefined;
  readonly bpffs?: string | undefined;
}

const COMMAND_LINE_BPFFS: Outside = { origin: 'command line', name: '--bpffs' };

interface Given<T> {
  readonly value: T;
  readonly from: Outside;
}

/** Applies the overrides to the node of the draft (for an agent: to its interface). */
export function applyOverrides(
  draft: Draft,
  role: Role,
  overrides: Overrides,
  environment: NodeJS.ProcessEnv,
  report: Report,
): Draft {
  if (role === 'pools' || role === 'l7') return draft;
  const given = <T>(flag: string, value: T | undefined, variable: string, read: (text: string) => T) =>
    pick(flag, value, variable, environment[variable], read);
  const networkInterface = given('--interface', overrides.interface, 'ANYHOP_INTERFACE', String);
  check(networkInterface, interfaceField, report);
  if (role === 'agent') {
    if (draft.agent === undefined || networkInterface === undefined) return draft;
    return { ...draft, agent: { ...draft.agent, interface: networkInterface.value } };
  }
  const name = given('--name', overrides.name, 'ANYHOP_NODE_NAME', String);
  check(name, nameField, report);
  const source = given('--source', overrides.source, 'ANYHOP_SOURCE', (text) => [text]);
  const state = given('--state-dir', overrides.stateDirectory, 'ANYHOP_STATE_DIR', String);
  check(state, path, report);
  const bpffs = overrides.bpffs && { value: overrides.bpffs, from: COMMAND_LINE_BPFFS };
  check(bpffs || undefined, path, report);
  const { node } = draft;
  if (node === undefined) return draft;
  return {
    ...draft,
    node: {
      ...node,
      name: name?.value ?? node.name,
      interface: networkInterface?.value ?? node.interface,
      stateDirectory: state?.value ?? node.stateDirectory,
      engine: overrides.engine ?? node.engine,
      bpffs: overrides.bpffs ?? node.bpffs,
      ...(source && readSources(source, node.wrong, report)),
      written: new Set([
        ...node.written,
        ...(networkInterface === undefined ? [] : ['interface']),
        ...(source === undefined ? [] : ['source']),
      ]),
    },
  };
}

/** An empty variable counts as unset. */
function pick<T>(
  flag: string,
  value: T | undefined,
  variable: string,
  text: string | undefined,
  read: (text: string) => T,
): Given<T> | undefined {
  if (value !== undefined) return { value, from: { origin: 'command line', name: flag } };
  if (text === undefined || text === '') return undefined;
  return { value: read(text), from: { origin: 'environment', name: variable } };
}

/** Checks a value by the schema of the file's field. */
function check(given: Given<string> | undefined, schema: z.ZodType, report: Report): void {
  if (given !== undefined) read(given.value, schema, given.from, report);
}

function read<T>(text: string, schema: z.ZodType<T>, from: Outside, report: Report): T | undefined {
  const { data, error } = schema.safeParse(text);
  if (error !== undefined) report(from, `found ${quote(text)}; expected ${error.issues[0].message}`);
  return data;
}

function readSources(
  given: Given<readonly string[]>,
  wrong: ReadonlySet<string>,
  report: Report,
): Pick<DraftNode, 'sources' | 'wrong'> {
  const texts = given.value.flatMap((entry) => entry.split(',')).map((text) => text.trim());
  const sources = texts.flatMap((text) => {
    const value = read(text, prefix, given.from, report);
    return value === undefined ? [] : [{ at: given.from, value }];
  });
  const others = [...wrong].filter((key) => key !== 'source');
  return { sources, wrong: new Set(sources.length < texts.length ? [...others, 'source'] : others) };
}
