/** From the section `l7` of the config to all files of one generation. */
import type { LoadedCertificate } from '../../config/l7/certificates.js';
import type { L7Config, L7Frontend } from '../../config/l7/types.js';
import { frontendLines, rateTableLines, redirectLines } from './frontend.js';
import { defaultLines, globalLines, peerLines } from './global.js';
import { identifier, line } from './line.js';
import { PANIC_FILE, panicMap } from './panic.js';
import type { RenderedLine, Rendering } from './rendering.js';
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
  const servers = new Map(upstreams.map((one) => [one.name, serversInForce(one, overrides)]));
  return {
    lines: [
      ...globalLines(config),
      ...peerLines(directory),
      ...defaultLines(config),
      ...frontends.flatMap((one) => [
        ...rateTableLines(one),
        ...frontendLines(one, config, directory, routeLines(one)),
        ...redirectLines(one, config),
      ]),
      ...upstreams.flatMap((one) => upstreamLines(one, config, directory, servers.get(one.name)!)),
    ],
    files: new Map([
      [PANIC_FILE, panicMap(upstreams, ({ name }) => servers.get(name)!)],
      ...frontends.flatMap((one) => frontendFiles(one, config, options)),
      ...upstreams.flatMap(({ name, tls }) => [
        ...pemFile(serverAuthoritiesFile(name), tls?.ca),
        ...pemFile(ownCertificateFile(name), tls?.certificate),
      ]),
    ]),
  };
}

function frontendFiles(
  { name, certificates, clientsCa }: L7Frontend,
  { key }: L7Config,
  options: RenderOptions,
): [string, string][] {
  if (certificates === undefined) return [];
  return [
    ...certificateFiles(name, options.certificates.get(name) ?? [], options.directory),
    ...(key === undefined
      ? []
      : [[ticketKeysFile(name), ticketKeysText(key, name, options.now)] as [string, string]]),
    ...pemFile(clientAuthoritiesFile(name), clientsCa),
  ];
}

/** Until routes are compiled: the last route to an upstream takes every request. */
function routeLines({ name, routes }: L7Frontend): RenderedLine[] {
  const to = routes.findLast((route) => route.to !== undefined)?.to;
  return to === undefined
    ? []
    : [
        line([
          'l7',
          'frontends',
          name,
          'routes',
        ])`  http-request set-var(txn.action) str(b:${identifier(to)})`,
      ];
}
