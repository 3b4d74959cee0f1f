/** A host from a recorded tree (recorded/README.md), with a fault or without one. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ToolResult } from '#anyhop/core/tool.js';
import type { Host } from '#anyhop/doctor/host.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { readLinks } from '#anyhop/underlay/link.js';

const ROOT = 'test/doctor/recorded';
/** Its index. */
const ETH0 = 2;

/** @param fault name of a folder in `faults` */
export function recordedHost(name: 'forwarder' | 'backend', fault?: string): Host {
  const roots = [...(fault === undefined ? [] : [join(ROOT, 'faults', fault)]), join(ROOT, name)];
  const find = (path: string): string | undefined =>
    roots.map((root) => join(root, path)).find((each) => existsSync(each));
  const read = (path: string): string | undefined => {
    const found = find(path);
    return found === undefined ? undefined : readFileSync(found, 'latin1').trim();
  };
  const routes: Record<string, unknown> = JSON.parse(read('routes.json')!);
  const answer = (line: string): string => JSON.stringify([routes[line.split(' ')[2]!]]);
  const run = async (program: string, args: readonly string[], input = ''): Promise<ToolResult> => {
    if (program === 'ping') return { code: 0, stdout: '', stderr: '' };
    const isRoutes = args.includes('-batch');
    const stdout = isRoutes
      ? input.trim().split('\n').map(answer).join('\n')
      : read(join('run', [program, ...args].join(' ').replaceAll('/', '_')));
    return stdout === undefined
      ? { code: 1, stdout: '', stderr: 'not recorded' }
      : { code: 0, stdout, stderr: '' };
  };
  return {
    read,
    list: (path) => {
      const found = find(path);
      return found === undefined ? [] : readdirSync(found);
    },
    changedAt: () => undefined,
    run,
    hasFunction: () => true,
    mptcpListeners: () => [],
    isBpffs: () => true,
    processors: Number(read('processors')),
    links: () => readLinks(run),
    addresses: () =>
      (JSON.parse(read('run/ip -json addr show')!) as { addr_info: { local: string }[] }[])
        .flatMap(({ addr_info }) => addr_info)
        .flatMap(({ local }) => parseAddress(local) ?? []),
    localAmong: async (addresses) =>
      new Set(
        addresses
          .map(({ text }) => text)
          .filter((text) => (routes[text] as { type?: string } | undefined)?.type === 'local'),
      ),
    attachedXdp: (index) =>
      index === ETH0 ? (JSON.parse(read('attached.json') ?? 'null') ?? undefined) : undefined,
    pinnedProgram: () => undefined,
  };
}
