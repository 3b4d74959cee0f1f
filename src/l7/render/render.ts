/** From the section `l7` of the config to all files of one generation. */
import type { LoadedCertificate } from '../../config/l7/certificates.js';
import type { L7Config, L7Frontend } from '../../config/l7/types.js';
import { frontendLines, rateTableLines, redirectLines } from './frontend.js';
import { defaultLines, globalLines, peerLines } from './global.js';
import { PANIC_FILE, panicMap } from './panic.js';
import type { Rendering } from './rendering.js';
import { renderRoutes } from './routes.js';
import { type ServerOverrides, serversInForce } from './servers.js';
import {
  certificateFiles,
  clientAuthoritiesFile,
  ownCertificateFile,
  pemFile,
  serverAuthoritiesFile,
  ticketKeysFile,
  ticketKeysText,
} from './tls.js';
import { upstreamLines } from './upstream.js';

export interface RenderOptions {
  /** The generation's directory, absolute: `RUN/gN`. */
  readonly directory: string;
  /** By name of the frontend: its certificates, the default first. */
  readonly certificates: ReadonlyMap<string, readonly LoadedCertificate[]>;
  /** Decides which ticket keys are in force. */
  readonly now: Date;
  readonly overrides?: ServerOverrides;
}

/** @throws RangeError for values that the config refuses */
export function renderL7(config: L7Config, options: RenderOptions): Rendering {
  const { directory, overrides } = options;
  const { frontends, upstreams } = config;
  const routes = new Map(frontends.map((one) => [one.name, renderRoutes(one, directory)]));
  const servers = new Map(upstreams.map((one) => [one.name, serversInForce(one, overrides)]));
  return {
    lines: [
      ...globalLines(config),
      ...peerLines(config, directory),
      ...defaultLines(),
      ...frontends.flatMap((one) => [
        ...rateTableLines(one),
        ...frontendLines(one, config, directory, routes.get(one.name)!.lines),
        ...redirectLines(one, config),
      ]),
      ...upstreams.flatMap((one) => upstreamLines(one, config, directory, servers.get(one.name)!)),
    ],
    files: new Map([
      [PANIC_FILE, panicMap(upstreams, ({ name }) => servers.get(name)!)],
      ...[...routes.values()].flatMap(({ files }) => files),
      ...frontends.flatMap((one) => frontendFiles(one, config, options)),
      ...upstreams.flatMap(({ name, tls }) => [
        ...pemFile(serverAuthoritiesFile(name), tls?.ca),
        ...pemFile(ownCertificateFile(name), tls?.certificate),
      ]),
    ]),
  };
}

function frontendFiles(frontend: L7Frontend, { key }: L7Config, options: RenderOptions): [string, string][] {
  const { name, certificates, clientsCa } = frontend;
  if (certificates === undefined) return [];
  return [
    ...certificateFiles(name, options.certificates.get(name) ?? [], options.directory),
    ...(key === undefined
      ? []
      : [[ticketKeysFile(name), ticketKeysText(key, frontend, options.now)] as [string, string]]),
    ...pemFile(clientAuthoritiesFile(name), clientsCa),
  ];
}
