/**
 * What this host is, for `anyhop doctor`: by the addresses that it has, of those in the config.
 *
 *   forwarder   it has an address of node.source, or a node runs here: one of another network namespace may have its socket here, too
 *   backend     it has the address of a backend; its interface is the one with that address
 *   proxy       it is such a backend, of a pool that the section l7 serves
 *   router      none of these, and --as says so
 */
import { existsSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { readInForce } from '../api/in-force.js';
import type { NodeStatus } from '../api/status.js';
import { loadConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { listed } from '../core/listed.js';
import { requireTool } from '../core/tool.js';
import { WHERE, type Where } from '../doctor/check.js';
import type { Place, Target } from '../doctor/facts.js';
import type { Host } from '../doctor/host.js';
import { type IpPrefix, parseAddress, prefixContains } from '../packet/address.js';
import { asStatus } from '../view/shape.js';
import { ask, findSocket, isAnswered, isNobody, socketOption } from './control-client.js';
import { loadL7 } from './l7-place.js';
import { type ConfigOptions, hostInterfaces, loadFor, type NodeOptions } from './options.js';
import { isInThisNetwork } from './same-network.js';

export interface DoctorPlaceOptions extends ConfigOptions, NodeOptions {
  readonly as?: readonly Where[];
  readonly backend?: string;
  readonly socket?: string;
}

export function doctorPlaceOptions(): Option[] {
  return [
    new Option('--as <role>', 'what this host is; give several by repeating it (default: by its addresses)')
      .choices(WHERE)
      .argParser(role),
    new Option('--backend <name>', 'on a forwarder: look at the way to one backend only'),
    socketOption(),
  ];
}

/** commander's own check of choices is lost with a parser. */
function role(value: string, before: readonly string[] = []): readonly string[] {
  if ((WHERE as readonly string[]).includes(value)) return [...before, value];
  throw new InvalidArgumentError(`It is one of ${WHERE.join(', ')}.`);
}

/** @throws AnyhopError ERR_USAGE when this host is nothing of the fleet, or the named backend is not in the config; ConfigError */
export async function doctorPlaces(
  given: DoctorPlaceOptions,
  host: Host,
  isConfigNamed = true,
): Promise<Place[]> {
  const socket = await nodeSocket(given, isConfigNamed);
  const running = await statusOf(socket);
  const options = isConfigNamed || running === undefined ? given : { ...given, config: running.config.file };
  const fleet = loadFor('pools', options);
  const devices = await readDevices(host);
  const here = targetsOf(fleet).filter(({ address }) => devices.has(address.text));
  const roles =
    options.as ??
    rolesOf(options, fleet, here, devices, running !== undefined && isInThisNetwork(running.pid));
  if (roles.length === 0) {
    throw new AnyhopError('ERR_USAGE', `this host is neither a forwarder nor a backend of ${fleet.file}`, {
      hint:
        'It has no address of node.source or of a backend, and no node runs here. Name what it is: --as forwarder | backend | proxy | router. ' +
        'On a forwarder, --source and --interface as for `anyhop run`.',
    });
  }
  const own = { devices, here, socket, running, fleet };
  return Promise.all(roles.map((role) => PLACES[role](options, own)));
}

interface Own {
  /** Interfaces of this host by their addresses. */
  readonly devices: ReadonlyMap<string, string>;
  /** What this host is in the pools. */
  readonly here: readonly Target[];
  /** Of the node that runs here. */
  readonly socket: string | undefined;
  readonly running: NodeStatus | undefined;
  readonly fleet: LoadedConfig;
}

const PLACES: Readonly<Record<Where, (options: DoctorPlaceOptions, own: Own) => Promise<Place> | Place>> = {
  async forwarder(options, { socket, running, fleet }) {
    const config = loadFor(
      'run',
      { ...options, ...(await identityOf(options, socket, running)) },
      { host: hostInterfaces() },
    );
    const { name, interface: networkInterface } = config.node;
    return {
      where: 'forwarder',
      name,
      config,
      interface: networkInterface,
      targets: chosen(options, fleet),
      status: async () => running,
    };
  },
  backend: (options, own) => onBackend('backend', options, own),
  proxy: (options, own) => ({
    ...onBackend('proxy', options, own),
    tier: loadL7({ config: options.config }, { mayLeaveUnread: true }),
  }),
  router: (_, { fleet }) => ({
    where: 'router',
    name: 'router',
    config: fleet,
    interface: '',
    targets: targetsOf(fleet),
    status: nobody,
  }),
};

const nobody = async (): Promise<undefined> => undefined;

function onBackend(where: Where, options: DoctorPlaceOptions, { here, devices, fleet }: Own): Place {
  if (here.length === 0) {
    throw new AnyhopError('ERR_USAGE', `no backend of ${fleet.file} has an address of this host`, {
      hint: `This host has ${[...devices.keys()].join(', ')}.`,
    });
  }
  // A fleet of plain tunnels has no section for agents.
  const hasAgents = here.some(({ agent }) => agent);
  const config = hasAgents ? loadFor('agent', options) : fleet;
  const networkInterface = options.interface ?? config.agent?.interface ?? devices.get(here[0].address.text)!;
  const name = [...new Set(here.map((one) => one.name))].join(', ');
  return { where, name, config, interface: networkInterface, targets: here, status: nobody };
}

function rolesOf(
  options: DoctorPlaceOptions,
  fleet: LoadedConfig,
  here: readonly Target[],
  devices: ReadonlyMap<string, string>,
  runs: boolean,
): Where[] {
  const roles: Where[] = [];
  if (runs || options.source !== undefined || options.backend !== undefined || hasSource(options, devices))
    roles.push('forwarder');
  if (here.length > 0 && options.backend === undefined) {
    roles.push('backend');
    if (servesL7(fleet, here)) roles.push('proxy');
  }
  return roles;
}

/** The secret is not needed to know it, and only root may be able to read it. */
function hasSource({ config, name }: DoctorPlaceOptions, devices: ReadonlyMap<string, string>): boolean {
  const { place } = loadConfig(config, { role: 'announce', overrides: { name } });
  const addresses = [...devices.keys()].flatMap((text) => parseAddress(text) ?? []);
  const isHere = (source: IpPrefix | undefined): boolean =>
    source !== undefined && addresses.some((address) => prefixContains(source, address));
  return isHere(place.source4) || isHere(place.source6);
}

function servesL7({ l7, services }: LoadedConfig, here: readonly Target[]): boolean {
  const served = new Set((l7?.frontends ?? []).flatMap(({ binds }) => binds.map(({ service }) => service)));
  return services.some(({ name, pool }) => served.has(name) && here.some((one) => one.pool === pool));
}

function targetsOf({ pools }: LoadedConfig): Target[] {
  return pools.flatMap(({ name: pool, backends }) => backends.map((backend) => ({ ...backend, pool })));
}

function chosen({ backend }: DoctorPlaceOptions, fleet: LoadedConfig): Target[] {
  const all = targetsOf(fleet);
  if (backend === undefined) return all;
  const found = all.filter(({ name, pool }) => name === backend || `${pool}/${name}` === backend);
  if (found.length > 0) return found;
  throw new AnyhopError('ERR_USAGE', `no pool of ${fleet.file} has a backend ${backend}`, {
    hint: `There are: ${listed([...new Set(all.map(({ name }) => name))], { most: 8 })}`,
  });
}

/** Of the node that answers; undefined when none does. */
async function nodeSocket(
  { socket, config, name }: DoctorPlaceOptions,
  isConfigNamed: boolean,
): Promise<string | undefined> {
  if (socket !== undefined) return socket;
  if (isConfigNamed || existsSync(config)) {
    const { place } = loadConfig(config, { role: 'announce', overrides: { name } });
    if (await isAnswered(place.nodeSocket)) return place.nodeSocket;
  }
  try {
    return await findSocket();
  } catch (error) {
    if (error instanceof AnyhopError && error.exitCode === EXIT.failure) return undefined;
    throw error;
  }
}

/** What the node that runs was told by options or the environment, which are not those of this command. */
async function identityOf(
  { name, interface: networkInterface, source }: DoctorPlaceOptions,
  socket: string | undefined,
  running: NodeStatus | undefined,
): Promise<NodeOptions> {
  if (socket === undefined || running === undefined) return {};
  const answer = await answerOf(socket, '/in-force');
  if (answer === undefined) return {};
  const { source4, source6 } = readInForce(answer, socket);
  return {
    name: name ?? running.node,
    interface: networkInterface ?? running.interface,
    source: source ?? [source4, source6].flatMap((each) => each?.text ?? []),
  };
}

async function statusOf(socket: string | undefined): Promise<NodeStatus | undefined> {
  const answer = socket === undefined ? undefined : await answerOf(socket, '/status');
  return answer === undefined ? undefined : asStatus(answer);
}

/** Undefined from nobody, and from a node that ends as it is asked. */
async function answerOf(socket: string, path: string): Promise<unknown> {
  try {
    return await ask(socket, path);
  } catch (error) {
    if (error instanceof AnyhopError && (isNobody(error) || hasHungUp(error))) return undefined;
    throw error;
  }
}

function hasHungUp({ cause }: AnyhopError): boolean {
  return ['ECONNRESET', 'EPIPE'].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '');
}

interface ShownAddresses {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string }[];
}

/** Also of interfaces that are down, which Node does not list. */
async function readDevices({ run }: Host): Promise<ReadonlyMap<string, string>> {
  const shown: ShownAddresses[] = JSON.parse(await requireTool(run, 'ip', ['-json', 'addr', 'show']));
  return new Map(
    shown.flatMap(({ ifname, addr_info = [] }) =>
      addr_info.flatMap(({ local }) => {
        const address = local === undefined ? undefined : parseAddress(local);
        return address === undefined ? [] : [[address.text, ifname] as const];
      }),
    ),
  );
}
