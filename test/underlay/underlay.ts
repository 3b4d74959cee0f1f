/**
 * A node with two links into the lab of the next-hop tests, in network namespaces:
 *
 *   node  eth0 10.0.1.1/24, fd00:1::1/64  <-->  left   far ends of the same names: 10.0.1.254, fd00:1::fe
 *         eth1 10.0.2.1/24, fd00:2::1/64  <-->  right                              10.0.2.254, fd00:2::fe
 */
import type { Logger } from '#anyhop/core/log.js';
import { type RunTool, runTool } from '#anyhop/core/tool.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { startMonitor } from '#anyhop/underlay/monitor.js';
import { formatHop } from '#anyhop/underlay/next-hop.js';
import { NextHops } from '#anyhop/underlay/next-hops.js';
import type { RouteSources, RouteTarget } from '#anyhop/underlay/route.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';

export const LEFT_MAC = '02:00:00:00:01:fe';
export const RIGHT_MAC = '02:00:00:00:02:fe';

export interface Underlay {
  readonly namespace: string;
  readonly resources: Resources;
  /** Lines of `ip -batch` on the node, or on a far end. */
  readonly node: (...lines: string[]) => Promise<void>;
  readonly left: (...lines: string[]) => Promise<void>;
  readonly right: (...lines: string[]) => Promise<void>;
  readonly run: RunTool;
}

/** Makes it for the time of `work`. */
export async function withUnderlay(work: (underlay: Underlay) => Promise<void>): Promise<void> {
  const resources = new Resources();
  try {
    const names = ['node', 'left', 'right'].map((role) => resources.addNamespace(role));
    const [node, left, right] = names.map((name) => async (...lines: string[]) => {
      await run(['ip', '-n', name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
    });
    for (const name of names)
      await run(inNamespace(name, ['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0']));
    for (const [number, far] of [1, 2].entries()) {
      const [name, namespace] = [`eth${number}`, names[far]];
      await node!(
        `link add ${name} address 02:00:00:00:0${far}:01 type veth peer name ${name} netns ${namespace}`,
        `addr add 10.0.${far}.1/24 dev ${name}`,
        `addr add fd00:${far}::1/64 dev ${name} nodad`,
        `link set ${name} up`,
      );
      await [left, right][number]!(
        `link set ${name} address 02:00:00:00:0${far}:fe`,
        `addr add 10.0.${far}.254/24 dev ${name}`,
        `addr add fd00:${far}::fe/64 dev ${name} nodad`,
        `link set ${name} up`,
      );
    }
    const [program = '', ...args] = inNamespace(names[0]!, []);
    await work({
      namespace: names[0]!,
      resources,
      node: node!,
      left: left!,
      right: right!,
      run: (tool, more, input) => runTool(program, [...args, tool, ...more], input),
    });
  } finally {
    await resources.close();
  }
}

/** Next hops as the node has them, for the time of `work`. `lines` collects what they log, as `level: message`. */
export async function withNextHops(
  { namespace, run: inside }: Underlay,
  work: (hops: NextHops, lines: string[]) => Promise<void>,
  sources: RouteSources = {},
): Promise<void> {
  const lines: string[] = [];
  const hops = new NextHops({
    log: lineLog(lines),
    sources,
    run: inside,
    monitor: (listener) => startMonitor(listener, ['ip', '-n', namespace]),
  });
  try {
    await work(hops, lines);
  } finally {
    await hops.close();
  }
}

/** Backends named `web/ADDRESS`. */
export function targets(...addresses: string[]): RouteTarget[] {
  return addresses.map((text) => ({ name: `web/${text}`, address: parseAddress(text)! }));
}

/** What is known of each address, in words. */
export function told(hops: NextHops): Record<string, string> {
  return Object.fromEntries(
    [...hops.current()]
      .map(([address, hop]): [string, string] => [address, hop.reason ?? formatHop(hop)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** A logger that keeps what it is told. */
export function lineLog(lines: string[]): Logger {
  const at =
    (level: string) =>
    (_fields: object, message: string): void => {
      lines.push(`${level}: ${message}`);
    };
  return { info: at('info'), warn: at('warn') } as unknown as Logger;
}
