/**
 * Finds what records packets here: a node that runs, which records itself (portable, af_xdp) or says where its pins are (xdp); what the engine `xdp` left
 * in force on an interface when its process ended; or the agent's pins.
 */
import { existsSync } from 'node:fs';
import { agentCapture } from '../agent/capture.js';
import { requireInterface } from '../agent/environment.js';
import { type CaptureReport, readCaptureReport } from '../api/capture.js';
import { type CaptureNames, type CaptureSource, UNKNOWN } from '../capture/record.js';
import { ConfigError } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { BPFFS_DEFAULT } from '../core/limits.js';
import { xdpCapture } from '../engine/xdp/capture.js';
import { lookAtPins } from '../engine/xdp/look.js';
import { NodeCapture } from './capture-node.js';
import { ask, findSocket, isNobody } from './control-client.js';
import { loadFor } from './options.js';
import { type PlaceOptions, placeOf } from './place.js';

export interface SourceOptions extends Omit<PlaceOptions, 'json'> {
  readonly socket?: string;
  readonly agent?: true;
}

/**
 * @param isConfigNamed whether the user named a config file
 * @throws AnyhopError when there is nothing to capture from; ConfigError
 */
export function findSource(options: SourceOptions, isConfigNamed: boolean): Promise<CaptureSource> {
  if (options.agent) return agentSource(options, isConfigNamed);
  const isPlaceGiven = options.interface !== undefined || options.bpffs !== undefined;
  if (options.socket === undefined && isPlaceGiven)
    return xdpCapture(placeOf(options, isConfigNamed, () => loadFor('run', options).node));
  return nodeSource(options, isConfigNamed);
}

async function nodeSource(options: SourceOptions, isConfigNamed: boolean): Promise<CaptureSource> {
  const config = options.socket === undefined && isConfigNamed ? loadFor('flow', options).node : undefined;
  let socket: string;
  let report: CaptureReport;
  try {
    socket = options.socket ?? config?.socket ?? (await findSocket());
    report = readCaptureReport(await ask(socket, '/capture'), socket);
  } catch (error) {
    const isAlone = error instanceof AnyhopError && error.code === 'ERR_SOCKET';
    if (!isAlone || options.socket !== undefined) throw error;
    return leftSource(config?.bpffs ?? BPFFS_DEFAULT, error);
  }
  const { bpffs, interface: name } = report;
  return bpffs === undefined ? new NodeCapture(socket, report) : xdpCapture({ bpffs, interface: name });
}

/** What forwards on without a process. @param why no node answers */
async function leftSource(bpffs: string, why: AnyhopError): Promise<CaptureSource> {
  const isGone = isNobody(why) || why.message.startsWith('no node runs here');
  const found = isGone ? await lookAtPins(bpffs) : [];
  const names = found.map(({ link }) => link.name);
  for (const one of found) one.close();
  if (names.length === 0) throw why;
  if (names.length === 1) return xdpCapture({ bpffs, interface: names[0] });
  throw new AnyhopError(
    'ERR_INTERFACE',
    `no node answers, and the engine xdp forwards on ${names.join(' and ')}`,
    {
      hint: 'Name one: --interface.',
      exitCode: EXIT.usage,
    },
  );
}

async function agentSource(options: SourceOptions, isConfigNamed: boolean): Promise<CaptureSource> {
  const config = agentConfig(options, isConfigNamed);
  const place = placeOf(options, isConfigNamed, () => {
    const loaded = config ?? loadFor('agent', options);
    return { interface: requireInterface(loaded), bpffs: loaded.agent.bpffs };
  });
  const names = config === undefined ? NO_NAMES : namesOf(config);
  return agentCapture(place, async () => names);
}

const NO_NAMES: CaptureNames = { generation: 0, services: [], backends: [] };

/** Undefined when it is the default one and no good: then an interface is enough, and packets go without names. */
function agentConfig(options: SourceOptions, isNamed: boolean): LoadedConfig<'agent'> | undefined {
  if (!isNamed && !existsSync(options.config)) return undefined;
  try {
    return loadFor('agent', options);
  } catch (error) {
    if (isNamed || !(error instanceof ConfigError)) throw error;
    return undefined;
  }
}

/** The agent's program knows services by VIP and port alone. */
function namesOf({ services, pools }: LoadedConfig<'agent'>): CaptureNames {
  return {
    generation: 0,
    services: services.map(({ name, vip, protocol, portFirst, portLast, pool }) => ({
      name,
      number: UNKNOWN,
      vip: vip.text,
      protocol,
      portFirst,
      portLast,
      pool,
    })),
    backends: pools.flatMap(({ name: pool, backends }) =>
      backends.map(({ name, id }) => ({ pool, name, number: UNKNOWN, id })),
    ),
  };
}
