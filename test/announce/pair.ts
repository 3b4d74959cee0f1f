/**
 * Two forwarders and keepalived on one segment, as a site without BGP has them:
 *
 *     client 10.9.0.100 ---+         +--- a 10.9.0.2    forwarders: `anyhop run`, keepalived
 *                          | bridge  +--- b 10.9.0.3
 *     web    10.9.0.11  ---+         +                  the client is its own router
 *
 * The client sends to the VIPs either by the floating gateway (10.9.0.1, fe80::1) or straight on the segment, where the active forwarder
 * has the VIPs itself. Its datagrams are numbered, and the backend sends each one back.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type KeepalivedOptions,
  keepalivedPair,
  parseHost,
  parseInterfaceAddress,
} from '#anyhop/announce/print/keepalived.js';
import { loadConfig } from '#anyhop/config/load.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Resources } from '../../scripts/lab/resources.js';

export const VIP4 = '203.0.113.10';
export const VIP6 = '2001:db8:100::10';
export const GATEWAY4 = '10.9.0.1';
export const GATEWAY6 = 'fe80::1';
export const PORT = 9000;
export const LINK = 'eth0';
export const PROGRAM = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const PASS_PROGRAM = fileURLToPath(new URL('../../../dist/native/pass.bpf.o', import.meta.url));
const OFFLOADS = ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];
const START_TIMEOUT_MS = 30_000;

const HOSTS = { client: 100, a: 2, b: 3, web: 11 } as const;
export type PairHost = keyof typeof HOSTS;
export type PairNode = 'a' | 'b';

export const address4 = (host: PairHost): string => `10.9.0.${HOSTS[host]}`;
export const address6 = (host: PairHost): string => `2001:db8:9::${HOSTS[host]}`;

/** `gateway`: the VIPs are routed to a floating address. `vip`: the VIPs float themselves. */
export type PairShape = 'gateway' | 'vip';

export interface Pair {
  readonly resources: Resources;
  readonly shape: PairShape;
  on(host: PairHost, ...argv: string[]): Promise<string>;
  file(name: string): string;
  /** Of a forwarder: what `anyhop run` and `anyhop announce` read. */
  config(node: PairNode): string;
  /** In a directory of the node's own, which is there. */
  trackFile(node: PairNode): string;
  start(host: PairHost, name: string, argv: readonly string[]): Promise<LabProcess>;
  /** `anyhop run`; resolves when it is ready. */
  startNode(node: PairNode): Promise<LabProcess>;
  startAnnounce(node: PairNode): Promise<LabProcess>;
  /** With the config that `anyhop announce --print keepalived` writes. */
  startKeepalived(node: PairNode): Promise<LabProcess>;
  /** Who has the floating address of each IP version: `a`, `b`, `ab` or nobody. */
  masters(): Promise<readonly [four: string, six: string]>;
  /** Runs `anyhop` on a forwarder. */
  anyhop(node: PairNode, ...args: string[]): Promise<string>;
}

export interface PairOptions {
  readonly engine?: string;
  /** More of the section `node`, and of `announce`. */
  readonly node?: object;
  readonly announce?: object;
}

/** The segment, and a backend that answers; forwarders and keepalived are the caller's to start. */
export async function createPair(
  shape: PairShape,
  { engine = 'xdp', node = {}, announce = {} }: PairOptions = {},
): Promise<Pair> {
  const resources = new Resources();
  try {
    const hosts = Object.keys(HOSTS) as PairHost[];
    const bridge = resources.addNamespace('bridge');
    const spaces = Object.fromEntries(hosts.map((host) => [host, resources.addNamespace(host)]));
    const on = (host: PairHost, ...argv: string[]): Promise<string> => run(inNamespace(spaces[host], argv));
    await ip(bridge, ['link add br0 type bridge', 'link set br0 up']);
    for (const host of hosts) {
      const space = spaces[host]!;
      await run(
        inNamespace(space, [
          'sysctl',
          '-qw',
          'net.ipv4.conf.all.rp_filter=0',
          'net.ipv4.conf.default.rp_filter=0',
          'net.ipv6.conf.all.accept_dad=0',
          'net.ipv6.conf.default.accept_dad=0',
          'net.ipv6.conf.default.accept_ra=0',
          ...(host === 'web' ? ['net.ipv4.conf.all.arp_ignore=1', 'net.ipv4.conf.all.arp_announce=2'] : []),
        ]),
      );
      await ip(bridge, [
        `link add port-${host} mtu 1600 type veth peer name ${LINK} mtu 1600 netns ${space}`,
        `link set port-${host} master br0 up`,
        `link set dev port-${host} xdp obj ${PASS_PROGRAM} sec xdp`,
      ]);
      await ip(space, [
        'link set lo up',
        `addr add ${address4(host)}/24 dev ${LINK}`,
        `addr add ${address6(host)}/64 dev ${LINK} nodad`,
        `link set ${LINK} up`,
      ]);
      await run(inNamespace(bridge, ['ethtool', '-K', `port-${host}`, ...OFFLOADS]));
      await run(inNamespace(space, ['ethtool', '-K', LINK, ...OFFLOADS]));
    }
    await ip(spaces['web']!, [`addr add ${VIP4}/32 dev lo`, `addr add ${VIP6}/128 dev lo nodad`]);
    await ip(
      spaces['client']!,
      shape === 'gateway'
        ? [`route add ${VIP4} via ${GATEWAY4}`, `route add ${VIP6} via ${GATEWAY6} dev ${LINK}`]
        : [`route add ${VIP4} dev ${LINK}`, `route add ${VIP6} dev ${LINK}`],
    );
    const pair: Pair = {
      resources,
      shape,
      on,
      file: (name) => join(resources.directory, name),
      config: (each) => pair.file(`${each}.yaml`),
      trackFile: (each) => pair.file(`track-${each}/vrrp`),
      start: (host, name, argv) => resources.startProcess(`${name} ${host}`, spaces[host]!, argv),
      async startNode(each) {
        const started = await pair.start(each, 'anyhop run', [
          process.execPath,
          PROGRAM,
          'run',
          '-c',
          pair.config(each),
        ]);
        await started.waitForEvent('ready', START_TIMEOUT_MS);
        return started;
      },
      async startAnnounce(each) {
        const argv = [process.execPath, PROGRAM, 'announce', '-c', pair.config(each)];
        const started = await pair.start(each, 'anyhop announce', argv);
        await started.waitForEvent('following', START_TIMEOUT_MS);
        return started;
      },
      async startKeepalived(each) {
        const file = pair.file(`keepalived-${each}.conf`);
        const config = loadConfig(pair.config(each), { role: 'announce', env: {} });
        const near = await linkLocalOf(on, each === 'a' ? 'b' : 'a');
        writeFileSync(file, keepalivedPair(config, keepalivedOptions(shape, each, near)), { mode: 0o644 });
        // Each start its own: after a kill, those of before would stop the next one.
        started += 1;
        const pids = ['-p', pair.file(`keepalived-${started}.pid`), '-r', pair.file(`vrrp-${started}.pid`)];
        return pair.start(each, 'keepalived', [
          'keepalived',
          '-n',
          '-P',
          '-l',
          '-D',
          '-G',
          '-f',
          file,
          ...pids,
        ]);
      },
      async masters() {
        const [four, six] = shape === 'gateway' ? [GATEWAY4, GATEWAY6] : [VIP4, VIP6];
        const shown = await Promise.all(
          (['a', 'b'] as const).map(async (each) => ({
            each,
            text: await on(each, 'ip', '-oneline', 'addr', 'show', 'dev', LINK),
          })),
        );
        const who = (address: string): string =>
          shown.flatMap(({ each, text }) => (text.includes(` ${address}/`) ? [each] : [])).join('');
        return [who(four), who(six)];
      },
      anyhop: (each, ...args) => on(each, process.execPath, PROGRAM, ...args),
    };
    let started = 0;
    writeConfigs(pair, resources.bpffs(), { engine, node, announce });
    await startBackend(pair);
    return pair;
  } catch (error) {
    await resources.close();
    throw error;
  }
}

function writeConfigs(pair: Pair, bpffs: string, { engine, node, announce }: Required<PairOptions>): void {
  for (const each of ['a', 'b'] as const) {
    mkdirSync(pair.file(`track-${each}`));
    const config = {
      node: {
        name: each,
        interface: LINK,
        engine,
        source: [address4(each), address6(each)],
        key: '00112233445566778899aabbccddeeff',
        socket: pair.file(`${each}.sock`),
        state_dir: pair.file(`${each}.state`),
        bpffs,
        ...(pair.shape === 'vip' && { local_vips: true }),
        ...node,
      },
      announce: { socket: pair.file(`${each}-announce.sock`), track_file: pair.trackFile(each), ...announce },
      agent: {
        bpffs,
        forwarders: (['a', 'b'] as const).flatMap((each) => [address4(each), address6(each)]),
        run_dir: pair.file('run'),
      },
      pools: {
        four: { backends: [{ name: 'web', address: address4('web') }] },
        six: { backends: [{ name: 'web', address: address6('web') }] },
      },
      services: [
        { name: 'udp4', vip: VIP4, protocol: 'udp', port: PORT, pool: 'four' },
        { name: 'udp6', vip: VIP6, protocol: 'udp', port: PORT, pool: 'six' },
      ],
    };
    writeFileSync(pair.config(each), JSON.stringify(config), { mode: 0o600 });
  }
}

/** Unicast for a gateway, multicast for VIPs: one of each is tried. */
function keepalivedOptions(shape: PairShape, node: PairNode, near: string): KeepalivedOptions {
  if (shape === 'vip') return { vips: true };
  const other = node === 'a' ? 'b' : 'a';
  return {
    addresses: [`${GATEWAY4}/24`, `${GATEWAY6}/64`].map((text) => parseInterfaceAddress(text)!),
    peers: [address4(other), near].map((text) => parseHost(text)!),
  };
}

async function linkLocalOf(on: Pair['on'], host: PairHost): Promise<string> {
  const shown = await on(host, 'ip', '-6', '-oneline', 'addr', 'show', 'dev', LINK);
  return / (fe80::[0-9a-f:]+:[0-9a-f:]+)\//.exec(shown)![1]!;
}

async function startBackend(pair: Pair): Promise<void> {
  const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  const echo = await pair.start('web', 'echo', [
    process.execPath,
    here('datagrams.js'),
    'serve',
    String(PORT),
    VIP4,
    VIP6,
  ]);
  await echo.waitForLine((line) => line === 'listening', 'listening', START_TIMEOUT_MS);
  const agent = await pair.start('web', 'anyhop agent', [
    process.execPath,
    PROGRAM,
    'agent',
    '-c',
    pair.config('a'),
    '--interface',
    LINK,
  ]);
  await agent.waitForEvent('ready', START_TIMEOUT_MS);
}

async function ip(namespace: string, lines: readonly string[]): Promise<void> {
  await run(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
