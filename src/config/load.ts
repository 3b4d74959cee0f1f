/**
 * From a file to a validated Config: text, YAML, shape, overrides, rules, key. Each step continues with what the step before
 * accepted, so one run reports every problem. Only text that is not YAML ends it early.
 */

import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { CONFIG_BYTES_MAX, CONFIG_FILE_DEFAULT } from '../core/limits.js';
import { readRegionFiles } from './announce/files.js';
import { checkRegionNeeds, checkRegions, warnAboutRegionVips } from './announce/region-rules.js';
import { announceConfig, announcePlace, nodeSocketOf } from './announce/resolve.js';
import { checkAnnounce, warnAboutPair } from './announce/rules.js';
import { announce as announceSchema } from './announce/schema.js';
import type { RegionTls } from './announce/types.js';
import { fleetSecretHere, readCookieSecrets } from './defend/keys.js';
import { defendConfig } from './defend/resolve.js';
import { checkDefend } from './defend/rules.js';
import type { CookieSecrets } from './defend/types.js';
import { warnAboutDefend, warnAboutMissingKey } from './defend/warnings.js';
import { keptFound } from './discover/kept.js';
import { checkDiscover, type MayLack } from './discover/rules.js';
import { ConfigDocument, type Place } from './document.js';
import { type Draft, type DraftAnnounce, type DraftNode, type Origin, valuesOf } from './draft.js';
import { mentionsDiscovery, withFound } from './edit/found.js';
import { byPlace, ConfigError } from './error.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from './file.js';
import { checkFleet, readFleet } from './fleet/files.js';
import { keptRevision, revisionDirectory } from './fleet/kept.js';
import { mentionsFleet, mergedText } from './fleet/merged.js';
import type { FleetConfig } from './fleet/types.js';
import { type CaTexts, healthConfigs, readCaFiles } from './health.js';
import { type KeyChoice, type NodeSecrets, readKeys } from './key.js';
import { type L7Files, NO_L7_FILES, readL7Files } from './l7/files.js';
import { l7Config } from './l7/resolve.js';
import { checkL7, checkL7Needs } from './l7/rules.js';
import { type OwnMetrics, readMetricsOf } from './metrics/files.js';
import { checkMetrics } from './metrics/rules.js';
import type { MetricsConfig } from './metrics/types.js';
import { NAME_EXPECTED, NAME_PATTERN } from './name-fields.js';
import { applyOverrides, type Overrides } from './overrides.js';
import { type FieldPath, quote } from './path.js';
import { isPath, Problems, type Report } from './problems.js';
import { type HostInterfaces, warnAboutFleet } from './rules/fleet.js';
import { checkHealth } from './rules/health.js';
import { checkHealthLists } from './rules/health-lists.js';
import { type BackendIds, backendIds } from './rules/ids.js';
import { checkNeeds, checkNode } from './rules/node.js';
import { checkSourcePrefix } from './rules/on-link.js';
import { checkPools } from './rules/pools.js';
import { checkServices } from './rules/services.js';
import { warnAboutAgent, warnAboutPools, warnAboutPrefix } from './rules/warnings.js';
import type { Secret } from './secret.js';
import { checkShape, emptyDraft } from './shape.js';
import { type BadText, checkText, decodeText } from './text.js';
import type { Config, LoadedConfig, NodeConfig, Role } from './types.js';

export interface LoadOptions<R extends Role> {
  readonly role: R;
  /** From the command line; they override environment and file. */
  readonly overrides?: Overrides;
  /** ANYHOP_NODE_NAME, ANYHOP_INTERFACE, ANYHOP_SOURCE (separated by commas) and ANYHOP_STATE_DIR override the file. */
  readonly env?: NodeJS.ProcessEnv;
  /** The secret to use instead of the file's. */
  readonly key?: Secret;
  /** Whether files of the section l7 that this user may not read are listed (`LoadedConfig.unread`) instead of refused. */
  readonly mayLeaveUnread?: boolean;
  /** For the role announce: whether it serves DNS hosts, and so needs the files of announce.certificate and announce.ca_file. */
  readonly servesRegions?: boolean;
  /** Of a node in a fleet: the fingerprint of the secret that it hashes flows with, if any, for a file that has several. */
  readonly keyInForce?: string | undefined;
  /** Whether lists that sources fill may be left out, for those who look what the sources say. */
  readonly mayLackFound?: boolean;
  /** Of a host in a fleet: the text of the revision to read its file with. Left out: the last one in force here, if any. */
  readonly revision?: RevisionText;
  /** The interfaces of this machine, if the node is to run here; rules compare their addresses with the file. */
  readonly host?: HostInterfaces | undefined;
}

export interface RevisionText {
  readonly number: number;
  readonly text: string;
}

/**
 * Reads, checks and freezes a config file.
 * @param file path, also of a pipe (`/dev/stdin`)
 * @throws ConfigError with every problem of the file; nothing else
 */
export function loadConfig<R extends Role>(file: string, options: LoadOptions<R>): LoadedConfig<R> {
  return loadConfigWithText(file, options).config;
}

/** The same, and the text of the file, which may contain the secret. @throws ConfigError as `loadConfig` */
export function loadConfigWithText<R extends Role>(
  file: string,
  options: LoadOptions<R>,
): { readonly config: LoadedConfig<R>; readonly text: string } {
  try {
    const { bytes, mode } = readSmallFile(file, CONFIG_BYTES_MAX);
    const own = decodeText(bytes);
    const { text, shown } = typeof own === 'string' ? whole(own, file, options) : { text: own, shown: file };
    return { config: readConfig(text, file, mode, { ...options, shown }), text: text as string }; // anything else was refused
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    const isUnnamed = error.isMissing && file === CONFIG_FILE_DEFAULT;
    const message = isUnnamed
      ? 'no such file; name the config file with -c FILE or ANYHOP_CONFIG'
      : error.message;
    throw new ConfigError([{ file, line: 0, column: 0, field: '', message }]);
  }
}

interface WholeText {
  readonly text: string;
  /** The name for messages. */
  readonly shown: string;
}

/** A host's own file with the revision of its fleet, if it is in one that has agreed on any; else with the backends that were found. */
function whole<R extends Role>(
  own: string,
  file: string,
  { role, revision: given, overrides }: LoadOptions<R>,
): WholeText {
  const isInFleet = given !== undefined || mentionsFleet(own);
  if (role === 'fleet' || !(isInFleet || mentionsDiscovery(own))) return { text: own, shown: file };
  const directory = revisionDirectory(file, overrides?.stateDirectory);
  if (!isInFleet)
    return { text: unlessWrong(() => withFound(own, file, keptFound(directory, file))) ?? own, shown: file };
  const revision = given ?? keptRevision(file, directory, role === 'l7' ? 'l7' : 'host');
  if (revision === undefined) return { text: own, shown: file };
  return {
    text: mergedText(revision.text, own),
    shown: `revision ${revision.number} with ${file}`,
  };
}

/** Undefined for a file that is wrong, which the steps after this one say in the order of the file. */
function unlessWrong(task: () => string): string | undefined {
  try {
    return task();
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/**
 * The same for a text.
 * @param file name for messages, and the path that `key_file` is relative to
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
  options: LoadOptions<R> & { readonly shown?: string },
): LoadedConfig<R> {
  const { role, overrides = {}, env = process.env, key: givenKey, mayLeaveUnread = false, host } = options;
  const { servesRegions = false, mayLackFound = false, shown = file } = options;
  if (typeof text !== 'string') throw new ConfigError([{ file, field: '', ...text }]);
  const document = new ConfigDocument(text, shown);
  const problems = new Problems(document);
  const warnings = new Problems(document);
  const unread = new Problems(document);
  const givenName = overrides.name ?? (env['ANYHOP_NODE_NAME'] || undefined);
  const hasSource = !ROLES_WITHOUT_SOURCE.has(role);
  const ofRole = hasSource ? problems.report : lessSource(problems.report);
  const report = role === 'fleet' ? onlyFleet(problems.report) : ofRole;

  const draft = checkShape(document, report);
  const checked = draft && check(applyOverrides(draft, role, overrides, env, report));
  const found = [...document.problems, ...problems.list()].sort(byPlace);
  if (found.length > 0 || checked === undefined) throw new ConfigError(found);
  // checkNeeds has reported what the role needs and the file lacks.
  const placeOf = (path: FieldPath): Place => document.locate(path);
  return freeze({
    ...checked(),
    warnings: warnings.list(),
    unread: unread.list(),
    placeOf,
  }) as LoadedConfig<R>;

  /** Checks the draft. The returned function builds the config, if nothing was wrong. */
  function check(draft: Draft): () => Config {
    const judged = hasSource ? draft : withoutSources(draft);
    checkNeeds(draft, role, report);
    checkFleet(draft.fleet, report);
    if (role === 'fleet') {
      const fleet = readFleet(draft.fleet, file, report, warnings.report);
      return () =>
        configOf(
          lessFleet(draft),
          new Map(),
          { name: givenName ?? draft.node?.name, fleet },
          file,
          NO_CA_TEXTS,
          NO_L7_FILES,
        );
    }
    checkNode(judged, document, report);
    checkSourcePrefix(judged, role, host, report);
    checkPools(judged, document, report);
    checkDiscover(draft, document, report, mayLack(role, mayLackFound));
    checkServices(judged, document, report);
    const ids = backendIds(draft, document, report, warnings.report);
    checkHealth(draft, report);
    checkHealthLists(draft, document, report);
    checkL7(draft, document, report, warnings.report);
    if (role === 'l7') checkL7Needs(draft, report);
    checkAnnounce(draft, document, report);
    checkRegions(draft, document, report);
    checkMetrics(draft, document, report, warnings.report);
    checkDefend(draft, document, report);
    const metrics = readMetricsOf(role, draft, file, report, warnings.report);
    warnAboutPair(draft, warnings.report);
    warnAboutPools(draft, warnings.report);
    warnAboutPrefix(draft, warnings.report);
    warnAboutAgent(draft, warnings.report);
    warnAboutDefend(draft, warnings.report);
    warnAboutFleet(draft, role, host, warnings.report);
    if (isOpenToOthers(mode)) warnAboutOpenKeys(draft, warnings.report);
    const cookieSecrets = (fleet: Secret | undefined): CookieSecrets | undefined => {
      const secrets = readCookieSecrets(draft, file, fleet, report, warnings.report);
      warnAboutMissingKey(draft, role, secrets, warnings.report);
      return secrets;
    };
    if (draft.node === undefined || !ROLES_WITH_NODE.has(role)) {
      const l7Files =
        role === 'l7' && draft.l7 !== undefined
          ? readL7Files(draft.l7, file, {
              report,
              warn: warnings.report,
              forbid: mayLeaveUnread ? unread.report : report,
            })
          : NO_L7_FILES;
      const name = role === 'announce' ? nodeName(draft.node, givenName, report) : undefined;
      checkRegionNeeds(draft.announce, role, name, report);
      warnAboutRegionVips(draft, name, warnings.report);
      const serves = role === 'announce' && servesRegions && draft.announce?.listen !== undefined;
      const speaks = role === 'region' || serves;
      const tls =
        speaks && draft.announce !== undefined
          ? readRegionFiles(draft.announce, file, name, report, warnings.report)
          : undefined;
      const cookies = role === 'agent' ? cookieSecrets(fleetSecretHere(draft, file)) : undefined;
      return () => configOf(draft, ids, { name, tls, metrics, cookies }, file, NO_CA_TEXTS, l7Files);
    }
    const { node } = draft;
    const name = nodeName(node, givenName, report);
    if (role === 'node') {
      // `anyhop announce` is another process, and may have another name there: what it needs stops nothing else.
      checkRegionNeeds(draft.announce, 'announce', name, warnings.report);
      warnAboutRegionVips(draft, name, warnings.report);
    }
    const keys =
      givenKey === undefined
        ? readKeys(node, file, keyChoice(options, draft), report, warnings.report)
        : { key: givenKey, others: [] };
    const caTexts = role === 'flow' || role === 'siblings' ? NO_CA_TEXTS : readCaFiles(draft, file, report);
    const cookies = role === 'run' || role === 'node' ? cookieSecrets(keys?.key) : undefined;
    return () =>
      configOf(
        draft,
        ids,
        { name, node: nodeConfig(node, name!, keys!, file, metrics.node), cookies },
        file,
        caTexts,
        NO_L7_FILES,
      );
  }
}

/** A node must not guess; who looks at the config of its host may. */
function keyChoice({ role, keyInForce }: LoadOptions<Role>, { fleet }: Draft): KeyChoice {
  if (role !== 'run') return fleet && { kind: 'first' };
  return keyInForce === undefined ? undefined : { kind: 'in_force', id: keyInForce };
}

/** Only proxy hosts need the servers of upstreams, and those who judge a config for all hosts. */
function mayLack(role: Role, mayLackFound: boolean): MayLack {
  if (mayLackFound) return 'all';
  return role === 'l7' || role === 'pools' ? undefined : 'servers';
}

const ROLES_WITH_NODE: ReadonlySet<Role> = new Set(['run', 'node', 'flow', 'siblings']);
/** Each forwarder has its own, and the others use none. */
const ROLES_WITHOUT_SOURCE: ReadonlySet<Role> = new Set(['agent', 'l7', 'announce', 'region', 'regions']);

/** Of a file that every user can access. */
function warnAboutOpenKeys({ node, l7 }: Draft, warn: Report): void {
  const why = 'is in a file that every user can access; run chmod 600 on it';
  if (node?.key !== undefined) warn([...node.at, 'key'], `the secret of the fleet ${why}`);
  if (l7?.key !== undefined) warn([...l7.at, 'key'], `the subkey of the tier ${why}`);
}

/** Drops problems of `node.source`: each forwarder has its own, and an agent uses none. */
function lessSource(report: Report): Report {
  return (at, message, part) => {
    const isSource = isPath(at) && at[0] === 'node' && at[1] === 'source';
    if (!isSource) report(at, message, part);
  };
}

/** Drops problems of other sections: a host's own file has parts of them alone, and is whole with a revision. */
function onlyFleet(report: Report): Report {
  return (at, message, part) => {
    if (!isPath(at) || at.length === 0 || at[0] === 'fleet') report(at, message, part);
  };
}

/** The draft without what only a revision has whole. */
function lessFleet(draft: Draft): Draft {
  return {
    ...draft,
    pools: [],
    services: [],
    defend: undefined,
    agent: undefined,
    l7: undefined,
    announce: undefined,
    discover: undefined,
  };
}

/** The draft for rules that compare other fields with `node.source`. */
function withoutSources(draft: Draft): Draft {
  return { ...draft, node: draft.node && { ...draft.node, sources: [] } };
}

const NO_CA_TEXTS: CaTexts = new Map();

/** The host name, unless the file or an override sets another name. */
function nodeName(
  node: DraftNode | undefined,
  given: string | undefined,
  report: Report,
): string | undefined {
  if (node?.name !== undefined || node?.written.has('name')) return node.name;
  if (given !== undefined) return given; // of a file without the section node
  const name = hostname();
  if (NAME_PATTERN.test(name)) return name;
  report(
    ['node', 'name'],
    `missing, and the host name ${quote(name)} cannot be used; expected ${NAME_EXPECTED}`,
  );
  return undefined;
}

function nodeConfig(
  node: DraftNode,
  name: string,
  { key, others }: NodeSecrets,
  configFile: string,
  metrics: MetricsConfig | undefined,
): NodeConfig {
  const { sources = [], keyFile, keyId, secondChancePrefix, siblings = [], ...values } = valuesOf(node);
  const sourceOf = (family: 4 | 6) => sources.find(({ address }) => address.family === family);
  return {
    ...values,
    name,
    source4: sourceOf(4),
    source6: sourceOf(6),
    key,
    otherKeys: others,
    keyFile: keyFile === undefined ? undefined : resolve(dirname(configFile), keyFile),
    socket: node.socket ?? nodeSocketOf(name),
    metrics,
    siblings: siblings.filter((sibling) => sibling.name !== name),
  };
}

/** Needs a draft in which nothing is missing. */
function configOf(
  draft: Draft,
  ids: BackendIds,
  { name, node, tls, metrics = {}, cookies, fleet }: Known,
  file: string,
  caTexts: CaTexts,
  l7Files: L7Files,
): Config {
  return {
    file,
    node,
    place: name === undefined ? undefined : announcePlace(name, draft),
    pools: draft.pools.map((pool) => {
      const { defend: _, ...values } = valuesOf(pool);
      return {
        ...values,
        name: pool.name,
        backends: pool.backends.map((one) => ({ ...valuesOf(one), id: ids.get(one)! })),
        prior: pool.prior?.map((one) => ({ ...valuesOf(one), id: ids.get(one)! })),
        health: healthConfigs(draft, pool, caTexts),
      };
    }),
    services: draft.services.map((service) => {
      const { ports, defend: _, ...values } = valuesOf(service);
      return { ...values, portFirst: ports.first, portLast: ports.last };
    }),
    defend: defendConfig(draft, file, cookies),
    agent: draft.agent && { ...valuesOf(draft.agent), metrics: metrics.agent },
    l7: draft.l7 && l7Config(draft.l7, draft.services, file, l7Files, metrics.l7),
    announce: announceConfig(draft.announce ?? NO_ANNOUNCE, draft.services, name, tls, metrics.announce),
    discoverers: new Map(draft.discover?.keys?.map(({ name: node, value }) => [node, value])),
    isInFleet: draft.fleet !== undefined,
    fleet,
  };
}

const NO_ANNOUNCE = emptyDraft(announceSchema, ['announce']) as Origin as DraftAnnounce;

/** What a role knows of the node. */
interface Known {
  readonly name: string | undefined;
  readonly node?: NodeConfig;
  readonly tls?: RegionTls | undefined;
  readonly metrics?: OwnMetrics;
  readonly cookies?: CookieSecrets | undefined;
  readonly fleet?: FleetConfig | undefined;
}

/** Freezes everything but the bytes of addresses, which JavaScript cannot freeze, and the secret. */
function freeze<T>(value: T): T {
  const isPlain =
    Array.isArray(value) || (value !== null && Object.getPrototypeOf(value) === Object.prototype);
  if (isPlain) {
    for (const part of Object.values(value as object)) if (typeof part === 'object') freeze(part);
    Object.freeze(value);
  }
  return value;
}
