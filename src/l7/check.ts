/**
 * Judges a config before it is put in force: by its rules, by what this host has, and by HAProxy itself, on files in a temporary
 * directory. What this user cannot look at, or this host cannot tell, is said.
 *
 *   rules, routes that multiply --> addresses, ports, descriptors of this host --> haproxy -c
 */
import { backendAddresses } from '../agent/fleet.js';
import { thisSystem } from '../agent/system.js';
import { byPlace, type ConfigProblem, formatProblem } from '../config/error.js';
import { formatPath } from '../config/path.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { findProgram } from '../core/program.js';
import { inTemporaryDirectory } from '../core/temporary.js';
import type { RunTool } from '../core/tool.js';
import type { IpAddress } from '../packet/address.js';
import { readCertificates } from './certificates.js';
import { checkGeneration } from './haproxy/check.js';
import { Generations } from './haproxy/generations.js';
import { readHostFacts } from './haproxy/host-facts.js';
import { findIdentity, type Identity } from './haproxy/identity.js';
import { findLeftovers } from './haproxy/leftovers.js';
import { type Needs, problemsOnHost } from './haproxy/limits.js';
import type { HaproxyConfig } from './haproxy/prepare.js';
import type { HaproxyProblem } from './haproxy/problems.js';
import { comparable, haproxyConfig, type Inputs } from './inputs.js';
import { located, locatedProblems } from './located.js';
import { fittedToHost } from './needs.js';
import { haproxySockets } from './render/rendering.js';

export interface Verdict {
  /** In the order of the file. */
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
  /** What was not looked at and why, a sentence each. */
  readonly unseen: readonly string[];
}

export interface CheckOptions {
  /** HAProxy: a name or an absolute path. */
  readonly program?: string;
  readonly runTool?: RunTool;
}

/**
 * @param config read for the role l7, maybe with files that this user may not read
 * @throws ConfigError for routes that multiply too much; AnyhopError when HAProxy does not end in time
 */
export async function checkTier(
  config: LoadedConfig<'l7'>,
  { program = 'haproxy', runTool }: CheckOptions = {},
): Promise<Verdict> {
  const inputs = inputsOf(config);
  const tried = haproxyConfig(inputs);
  const unseen = config.unread.map(formatProblem);
  try {
    comparable(inputs); // routes are compiled, also when HAProxy cannot be asked
  } catch (error) {
    throw located(config, error);
  }
  const found = [...(await onHost(config, tried.needs, unseen))];
  if (config.unread.length > 0) unseen.push('what HAProxy says: it needs these files');
  else found.push(...(await byHaproxy(config, tried, program, runTool, unseen)));
  const of = (level: HaproxyProblem['level']): ConfigProblem[] =>
    locatedProblems(
      config,
      found.filter((one) => one.level === level).map((one) => ({ ...one, level: 'error' })),
    );
  return {
    problems: of('error').sort(byPlace),
    warnings: [...config.warnings, ...of('warning')].sort(byPlace),
    unseen,
  };
}

/** What `anyhop l7 run` would start with, when nothing was said of servers at runtime. */
export function inputsOf({ l7 }: LoadedConfig<'l7'>): Inputs {
  return {
    config: fittedToHost(l7),
    certificates: readCertificates(l7).certificates,
    now: new Date(),
  };
}

async function onHost(
  config: LoadedConfig<'l7'>,
  needs: Needs,
  unseen: string[],
): Promise<readonly HaproxyProblem[]> {
  if ((await thisSystem.localAmong(proxyHosts(config))).size === 0) {
    unseen.push('addresses, ports and limits of a proxy host: this host is no backend of their pools');
    return [];
  }
  const isRoot = process.geteuid?.() === 0;
  if (!isRoot) unseen.push('whether other programs have the ports: only root sees whose they are');
  const own = isRoot ? findLeftovers(haproxySockets(config.l7.runDirectory).master).pids : [];
  const facts = await readHostFacts(needs, own);
  return problemsOnHost(needs, facts, isRoot ? [] : needs.binds).map((problem) =>
    // The limit is that of a shell; a unit has one of its own.
    formatPath(problem.at) === formatPath(needs.connections.at) ? { ...problem, level: 'warning' } : problem,
  );
}

/** Addresses of the backends of the frontends' pools. */
function proxyHosts({ pools, services, l7 }: LoadedConfig<'l7'>): IpAddress[] {
  const own = new Set(
    l7.frontends.flatMap(({ binds, redirectBinds }) =>
      [...binds, ...redirectBinds].map(({ service }) => service),
    ),
  );
  const used = new Set(services.flatMap(({ name, pool }) => (own.has(name) ? [pool] : [])));
  return backendAddresses({ pools: pools.filter(({ name }) => used.has(name)) });
}

async function byHaproxy(
  { l7 }: LoadedConfig<'l7'>,
  { render }: HaproxyConfig,
  program: string,
  runTool: RunTool | undefined,
  unseen: string[],
): Promise<readonly HaproxyProblem[]> {
  if (findProgram(program) === undefined) {
    unseen.push(`what HAProxy says: the program ${program} is missing (Debian: apt-get install haproxy)`);
    return [];
  }
  let identity: Identity | undefined;
  try {
    identity = await findIdentity(l7.user);
  } catch (error) {
    if (!(error instanceof AnyhopError) || error.code !== 'ERR_HAPROXY') throw error;
    const { message, hint } = error;
    return [
      {
        level: 'error',
        at: ['l7', 'user'],
        message: [message, hint?.replace(/\.$/, '')].filter(Boolean).join('; '),
      },
    ];
  }
  return inTemporaryDirectory('anyhop-l7-check-', async (directory) => {
    const generations = await Generations.open(directory, identity);
    return checkGeneration(await generations.write(render), program, identity, runTool);
  });
}
