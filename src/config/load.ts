/**
 * From a file to a validated Config: text, YAML, shape, overrides, rules, key. Each step goes on with what the one
 * before found good, so that one run shows every problem; only text that is not YAML ends it early.
 */
import { hostname } from 'node:os';
import { CONFIG_BYTES_MAX } from '../core/limits.js';
import { ConfigDocument } from './document.js';
import { type Draft, type DraftNode, valuesOf } from './draft.js';
import { byPlace, ConfigError } from './error.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from './file.js';
import { type CaTexts, healthConfig, readCaFiles } from './health.js';
import { readKey } from './key.js';
import { applyOverrides, type Overrides } from './overrides.js';
import { quote } from './path.js';
import { isPath, Problems, type Report } from './problems.js';
import { type HostInterfaces, warnAboutFleet } from './rules/fleet.js';
import { checkHealth } from './rules/health.js';
import { checkNeeds, checkNode } from './rules/node.js';
import { checkSourcePrefix } from './rules/on-link.js';
import { checkPools } from './rules/pools.js';
import { checkSecondChance } from './rules/second-chance.js';
import { checkServices } from './rules/services.js';
import { warnAboutAgent, warnAboutPools } from './rules/warnings.js';
import { NAME_EXPECTED, NAME_PATTERN } from './schema.js';
import type { Secret } from './secret.js';
import { checkShape } from './shape.js';
import { type BadText, checkText, decodeText } from './text.js';
import type { Config, LoadedConfig, NodeConfig, Role } from './types.js';

export interface LoadOptions<R extends Role> {
  readonly role: R;
  /** From the command line; come before the environment and the file. */
  readonly overrides?: Overrides;
  /** ANYHOP_NODE_NAME, ANYHOP_INTERFACE, ANYHOP_SOURCE (commas between) and ANYHOP_STATE_DIR come before the file. */
  readonly env?: NodeJS.ProcessEnv;
  /** The secret, in the place of that in the file or its key_file. */
  readonly key?: Secret;
  /** Of this machine, where the node is to run on it: its addresses are then held against those that the file speaks of. */
  readonly host?: HostInterfaces | undefined;
}

/**
 * Reads, checks and freezes a config file.
 * @param file path; a pipe will do (`/dev/stdin`)
 * @throws ConfigError with every problem of the file; nothing else
 */
export function loadConfig<R extends Role>(file: string, options: LoadOptions<R>): LoadedConfig<R> {
  return loadConfigWithText(file, options).config;
}

/** The same, and the text that it was read from, which may hold the secret. @throws ConfigError as `loadConfig` */
export function loadConfigWithText<R extends Role>(
  file: string,
  options: LoadOptions<R>,
): { readonly config: LoadedConfig<R>; readonly text: string } {
  try {
    const { bytes, mode } = readSmallFile(file, CONFIG_BYTES_MAX);
    const text = decodeText(bytes);
    return { config: readConfig(text, file, mode, options), text: text as string }; // what is no text is refused
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    throw new ConfigError([{ file, line: 0, column: 0, field: '', message: error.message }]);
  }
}

/**
 * The same for text at hand.
 * @param file the name to give in messages, and the path that `key_file` is relative to
 */
export function parseConfig<R extends Role>(
  text: string,
  file: string,
  options: LoadOptions<R>,
): LoadedConfig<R> {
  return readConfig(checkText(text), file, undefined, options);
}

function readConfig<R extends Role>(
  text: string | BadText,
  file: string,
  mode: number | undefined,
  options: LoadOptions<R>,
): LoadedConfig<R> {
  const { role, overrides = {}, env = process.env, key: givenKey, host } = options;
  if (typeof text !== 'string') throw new ConfigError([{ file, field: '', ...text }]);
  const document = new ConfigDocument(text, file);
  const problems = new Problems(document);
  const warnings = new Problems(document);
  const report = role === 'agent' ? lessSource(problems.report) : problems.report;

  const draft = checkShape(document, report);
  const checked = draft && check(applyOverrides(draft, role, overrides, env, report));
  const found = [...document.problems, ...problems.list()].sort(byPlace);
  if (found.length > 0 || checked === undefined) throw new ConfigError(found);
  // What the role needs is there: checkNeeds would have reported it.
  return freeze({ ...checked(), warnings: warnings.list() }) as LoadedConfig<R>;

  /** Judges the draft; what it gives back builds the config, once nothing was found wrong. */
  function check(draft: Draft): () => Config {
    const judged = role === 'agent' ? withoutSources(draft) : draft;
    checkNeeds(draft, role, report);
    checkNode(judged, document, report);
    checkSourcePrefix(judged, role, host, report);
    checkPools(judged, document, report);
    checkServices(judged, document, report);
    checkSecondChance(draft, role, document, report);
    checkHealth(draft, report);
    warnAboutPools(draft, warnings.report);
    warnAboutAgent(draft, warnings.report);
    warnAboutFleet(draft, role, host, warnings.report);
    if (draft.node?.key !== undefined && isOpenToOthers(mode)) {
      warnings.report(
        [...draft.node.at, 'key'],
        'the secret of the fleet stands in a file that is open to every user; chmod 600 it',
      );
    }
    if (draft.node === undefined || (role !== 'run' && role !== 'node' && role !== 'flow')) {
      return () => configOf(draft, undefined, file, NO_CA_TEXTS);
    }
    const { node } = draft;
    const name = nodeName(node, report);
    const key = givenKey ?? readKey(node, file, report, warnings.report);
    const caTexts = role === 'flow' ? NO_CA_TEXTS : readCaFiles(draft, file, report);
    return () => configOf(draft, nodeConfig(node, name!, key!), file, caTexts);
  }
}

/** Every forwarder has a source of its own, and an agent reads none of them: what is wrong with one is no error to it. */
function lessSource(report: Report): Report {
  return (at, message, part) => {
    const isSource = isPath(at) && at[0] === 'node' && at[1] === 'source';
    if (!isSource) report(at, message, part);
  };
}

/** The draft for rules that hold other fields to `node.source`. */
function withoutSources(draft: Draft): Draft {
  return { ...draft, node: draft.node && { ...draft.node, sources: [] } };
}

/** Who checks no backends reads no certificates. */
const NO_CA_TEXTS: CaTexts = new Map();

/** The name of the host when neither the file nor anyone else gives one. */
function nodeName(node: DraftNode, report: Report): string | undefined {
  if (node.name !== undefined || node.written.has('name')) return node.name;
  const name = hostname();
  if (NAME_PATTERN.test(name)) return name;
  report(
    [...node.at, 'name'],
    `missing, and the name of the host, ${quote(name)}, will not do; expected ${NAME_EXPECTED}`,
  );
  return undefined;
}

function nodeConfig(node: DraftNode, name: string, key: Secret): NodeConfig {
  const { sources = [], keyFile, ...values } = valuesOf(node);
  const sourceOf = (family: 4 | 6) => sources.find(({ address }) => address.family === family);
  return {
    ...values,
    name,
    source4: sourceOf(4),
    source6: sourceOf(6),
    key,
    socket: node.socket ?? `/run/anyhop/${name}.sock`,
  };
}

/** Of a draft without holes: each hole has been reported. */
function configOf(draft: Draft, node: NodeConfig | undefined, file: string, caTexts: CaTexts): Config {
  return {
    file,
    node,
    pools: draft.pools.map((pool) => ({
      ...valuesOf(pool),
      name: pool.name,
      health: healthConfig(draft, pool, caTexts),
    })),
    services: draft.services.map((service) => {
      const { ports, ...values } = valuesOf(service);
      return { ...values, portFirst: ports.first, portLast: ports.last };
    }),
    agent: draft.agent && valuesOf(draft.agent),
  };
}

/** Deep, but for addresses' bytes, which cannot be frozen, and the secret, which has nothing to freeze. */
function freeze<T>(value: T): T {
  const isPlain =
    Array.isArray(value) || (value !== null && Object.getPrototypeOf(value) === Object.prototype);
  if (isPlain) {
    for (const part of Object.values(value as object)) if (typeof part === 'object') freeze(part);
    Object.freeze(value);
  }
  return value;
}
