/** `anyhop which --url`: which proxy host, frontend, route and upstream a request gets to, and why. */
import type { Explanation } from '../api/api.js';
import type { L7Config } from '../config/l7/types.js';
import { loadConfig } from '../config/load.js';
import { AnyhopError } from '../core/errors.js';
import { controlSocket } from '../l7/place.js';
import type { L7Status } from '../l7/status.js';
import { type Connection, type Listener, listenersFor, whyNone } from '../l7/which/listeners.js';
import { readRequest } from '../l7/which/request.js';
import type { Endpoint } from '../packet/compose.js';
import { ask, isNobody } from './control-client.js';
import { isSameFile, note, type State } from './decider.js';
import { writeResult } from './output.js';
import { type FlowOptions, flowDecider } from './which-flow.js';
import { frontendReport, textOf, type UrlReport, type WithL7, withStatus } from './which-report.js';
import { drawUrlReport } from './which-url-text.js';

export interface UrlOptions extends FlowOptions {
  readonly url: string;
  readonly header?: readonly string[];
  readonly src?: Endpoint;
  readonly dst?: Endpoint;
  readonly json?: boolean;
}

/** @throws AnyhopError ERR_USAGE for a request that HAProxy refuses; ConfigError; as `askDecider` */
export async function whichUrl(options: UrlOptions, isConfigNamed: boolean): Promise<void> {
  const { url, header: headers = [], src, dst, json } = options;
  const request = readRequest(url, headers);
  const config = loadWithL7(options.config);
  const connection: Connection = {
    scheme: request.scheme,
    port: dst?.port ?? request.port,
    vip: dst?.address,
    family: src?.address.family,
  };
  const listeners = listenersFor(config.l7, connection);
  const flows = await decideFlows(options, isConfigNamed, listeners, connection.port);
  const reports = listeners.map((listener, i) =>
    frontendReport(listener, config, request, connection.port, flows?.answers[i]),
  );
  const status = await askTier(options, config.l7);
  const { host, path } = request.sent;
  const report: UrlReport = {
    config: config.file,
    ...(flows !== undefined && { state: flows.state }),
    request: { url, headers, host: textOf(host), path },
    frontends: status === undefined ? reports : reports.map((one) => withStatus(one, status)),
    ...(reports.length === 0 && { why: whyNone(config.l7, connection) }),
  };
  writeResult(json, report, drawUrlReport);
}

/** Needs no secret: proxy hosts have none. */
function loadWithL7(file: string): WithL7 {
  const config = loadConfig(file, { role: 'pools' });
  const { l7 } = config;
  if (l7 === undefined)
    throw new AnyhopError('ERR_USAGE', `${file} has no section l7, and --url asks about it`);
  return { ...config, l7 };
}

interface Flows {
  readonly state: State;
  /** By listener, then by its services. */
  readonly answers: readonly (readonly Explanation[])[];
}

/** Where the client's connections go, one for each VIP; undefined without a client, or without a frontend. */
async function decideFlows(
  options: UrlOptions,
  isConfigNamed: boolean,
  listeners: readonly Listener[],
  port: number,
): Promise<Flows | undefined> {
  const { src } = options;
  if (src === undefined || listeners.length === 0) return undefined;
  const decide = flowDecider(options, isConfigNamed);
  let state: State | undefined;
  const answers: Explanation[][] = [];
  for (const { binds } of listeners) {
    const own: Explanation[] = [];
    for (const { vip } of binds) {
      const decision = await decide({ proto: 'tcp', src, dst: { address: vip, port } });
      state ??= decision.state;
      own.push(decision.answer);
    }
    answers.push(own);
  }
  return { state: state!, answers };
}

/** Of `anyhop l7 run` on this host, if it runs with this file; undefined otherwise, as on most hosts. */
async function askTier(options: UrlOptions, { runDirectory }: L7Config): Promise<L7Status | undefined> {
  if (options.socket === false) return undefined;
  try {
    const status = (await ask(controlSocket(runDirectory), '/l7/status')) as L7Status;
    if (isSameFile(status.configFile, options.config)) return status;
    note(`"anyhop l7 run" on this host runs by ${status.configFile}; servers are those of ${options.config}`);
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    if (!isNobody(error)) note(`"anyhop l7 run" on this host cannot be asked: ${error.message}`);
  }
  return undefined;
}
