/**
 * What of a change HAProxy takes without a reload, as commands of its runtime API. Decided by what is rendered: when only weights and addresses
 * of servers, certificates and ticket keys differ, all other text is the same.
 *
 * HAProxy forgets such changes when it reloads or restarts, so the caller writes the new rendering to disk as well.
 */
import { join } from 'node:path';
import type { LoadedCertificate } from '../config/l7/certificates.js';
import type { L7Config, L7Server, L7Upstream } from '../config/l7/types.js';
import { L7_RUNTIME_PAYLOAD_BYTES_MAX } from '../core/limits.js';
import { sameCertificate } from './certificates.js';
import type { Inputs } from './inputs.js';
import { ticketHour, ticketKey, ticketsOf } from './render/keys.js';
import { PANIC_FILE, panicLeast } from './render/panic.js';
import type { Rendering } from './render/rendering.js';
import { type ServerInForce, serversInForce } from './render/servers.js';
import { certificateFile, certificateListFile, ticketKeysFile } from './render/tls.js';

/** HAProxy says nothing when it has done most things. */
const NOTHING_SAID = /^\s*$/;

export interface RuntimeCommand {
  readonly command: string;
  /** Several lines that belong to it. */
  readonly payload?: string;
  /** What HAProxy answers when it has done it. */
  readonly done: RegExp;
}

/**
 * @param render in one directory: two renderings of equal inputs are equal
 * @param directory of the generation that the worker has loaded: it knows files by their paths there
 * @returns undefined when a reload is needed; no command when nothing differs
 */
export function runtimePlan(
  before: Inputs,
  after: Inputs,
  render: (inputs: Inputs) => Rendering,
  directory: string,
): readonly RuntimeCommand[] | undefined {
  const settled = { ...before, config: withServersOf(after.config, before.config) };
  if (!sameText(render(before), render(settled))) return undefined;
  const certificates = certificateCommands(before, after, directory);
  if (certificates === undefined) return undefined;
  return [
    ...serverCommands(before.config, after.config, directory),
    ...certificates,
    ...ticketCommands(before, after, directory),
  ];
}

/** A config with weights, states and addresses of another one, where both have the server. */
function withServersOf(config: L7Config, other: L7Config): L7Config {
  const upstreams = new Map(other.upstreams.map((upstream) => [upstream.name, upstream]));
  return {
    ...config,
    upstreams: config.upstreams.map((upstream) => {
      const servers = new Map(upstreams.get(upstream.name)?.servers.map((server) => [server.name, server]));
      return {
        ...upstream,
        servers: upstream.servers.map((server) => ({ ...server, ...mutableOf(servers.get(server.name)) })),
      };
    }),
  };
}

function mutableOf(server: L7Server | undefined): Partial<L7Server> {
  if (server === undefined) return {};
  const { address, port, weight, state } = server;
  return { address, port, weight, state };
}

function sameText(a: Rendering, b: Rendering): boolean {
  return (
    a.lines.length === b.lines.length &&
    a.lines.every(({ text }, i) => text === b.lines[i]!.text) &&
    a.files.size === b.files.size &&
    [...a.files].every(([path, text]) => b.files.get(path) === text)
  );
}

function serverCommands(before: L7Config, after: L7Config, directory: string): RuntimeCommand[] {
  const former = new Map(before.upstreams.map((upstream) => [upstream.name, upstream]));
  return after.upstreams.flatMap((upstream) => {
    const then = serversInForce(former.get(upstream.name)!);
    const now = serversInForce(upstream);
    return [
      ...now.flatMap((server, i) => serverCommand(upstream, then[i]!, server)),
      ...panicCommand(upstream, then, now, directory),
    ];
  });
}

/** In the upstream and in its panic twin. */
function serverCommand(
  { name, panicThreshold }: L7Upstream,
  before: ServerInForce,
  after: ServerInForce,
): RuntimeCommand[] {
  const backends = panicThreshold > 0 ? [`u_${name}`, `p_${name}`] : [`u_${name}`];
  const isElsewhere = before.address.text !== after.address.text || before.port !== after.port;
  return backends.flatMap((backend) => {
    const set = `set server ${backend}/${after.name}`;
    return [
      ...(isElsewhere
        ? [
            {
              command: `${set} addr ${after.address.text} port ${after.port}`,
              done: /changed from|no need to change/,
            },
          ]
        : []),
      ...(before.weight === after.weight
        ? []
        : [{ command: `${set} weight ${after.weight}`, done: NOTHING_SAID }]),
    ];
  });
}

function panicCommand(
  { name, panicThreshold }: L7Upstream,
  before: readonly ServerInForce[],
  after: readonly ServerInForce[],
  directory: string,
): RuntimeCommand[] {
  const least = panicLeast(panicThreshold, after);
  if (panicThreshold === 0 || least === panicLeast(panicThreshold, before)) return [];
  return [{ command: `set map ${join(directory, PANIC_FILE)} ${name} ${least}`, done: NOTHING_SAID }];
}

/** Undefined when HAProxy cannot take them at runtime. */
function certificateCommands(before: Inputs, after: Inputs, directory: string): RuntimeCommand[] | undefined {
  const commands: RuntimeCommand[] = [];
  for (const [frontend, certificates] of after.certificates) {
    const former = before.certificates.get(frontend) ?? [];
    // HAProxy cannot exchange the default, which is the first.
    if (former[0]?.path !== certificates[0]?.path) return undefined;
    const list = join(directory, certificateListFile(frontend));
    const fileOf = ({ path }: LoadedCertificate): string => join(directory, certificateFile(frontend, path));
    const known = new Map(former.map((one) => [fileOf(one), one]));
    for (const one of certificates) {
      const file = fileOf(one);
      const then = known.get(file);
      known.delete(file);
      if (then !== undefined && sameCertificate(then, one)) continue;
      const pem = one.pem.reveal();
      if (pem.length > L7_RUNTIME_PAYLOAD_BYTES_MAX) return undefined;
      if (then === undefined)
        commands.push({ command: `new ssl cert ${file}`, done: /New empty certificate store/ });
      commands.push({
        command: `set ssl cert ${file}`,
        payload: Buffer.from(pem).toString('latin1'),
        done: /Transaction (created|updated)/,
      });
      commands.push({ command: `commit ssl cert ${file}`, done: /Success!/ });
      if (then === undefined)
        commands.push({ command: `add ssl crt-list ${list} ${file}`, done: /Success!/ });
    }
    for (const file of known.keys()) {
      commands.push({ command: `del ssl crt-list ${list} ${file}`, done: /deleted in crtlist/ });
      commands.push({ command: `del ssl cert ${file}`, done: /deleted!/ });
    }
  }
  return commands;
}

/** Keys that are in force at a time: of the last hour, of this one, and of the next one. */
const TICKET_KEYS = 3;

/**
 * HAProxy takes one key at a time: it becomes the newest, and the oldest goes. So an hour that has passed takes one, and a clock that
 * was set, in either direction, takes all.
 */
function ticketCommands(before: Inputs, after: Inputs, directory: string): RuntimeCommand[] {
  const { key, frontends } = after.config;
  const hour = ticketHour(after.now);
  const passed = hour - ticketHour(before.now);
  if (key === undefined || passed === 0) return [];
  const count = passed > 0 ? Math.min(passed, TICKET_KEYS) : TICKET_KEYS;
  const hours = Array.from({ length: count }, (_, i) => hour + 2 - count + i);
  return frontends
    .filter(({ certificates }) => certificates !== undefined)
    .flatMap((frontend) =>
      hours.map((each) => ({
        command: `set ssl tls-key ${join(directory, ticketKeysFile(frontend.name))} ${ticketKey(key.reveal(), ticketsOf(frontend), each)}`,
        done: /TLS ticket key updated/,
      })),
    );
}
