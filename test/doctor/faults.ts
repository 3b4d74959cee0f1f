/** Faults that a network namespace can be made to have. Each host has its own list; what one breaks, the doctors of the others do not look at. */
import { copyFileSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DoctorPlaceOptions } from '#anyhop/cli/doctor-places.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { changeConfig } from '../../scripts/lab/config.js';
import { type Lab, PROGRAM } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { HOST_LINK, VIP4, VIP6 } from '../../scripts/lab/topology.js';
import { isInstalled } from '../isolation.js';

const PASS = fileURLToPath(new URL('../../../dist/native/pass.bpf.o', import.meta.url));
const FAKE_AGENT = fileURLToPath(new URL('./fake-agent.js', import.meta.url));
const READY_MS = 30_000;

export interface Fault {
  readonly name: string;
  take(): Promise<unknown> | unknown;
  giveBack(): Promise<unknown> | unknown;
  /** By the names of checks: these, and no others. */
  readonly found: readonly string[];
  /** In the findings. */
  readonly says: RegExp;
  /** How the doctor is asked. */
  readonly options?: DoctorPlaceOptions;
}

/** Commands in a namespace, a line each. */
export async function inside(namespace: string, ...lines: readonly string[]): Promise<void> {
  await run(inNamespace(namespace, ['sh', '-ec', lines.join('\n')]));
}

function lines(
  name: string,
  namespace: string,
  take: string,
  giveBack: string,
  check: string,
  says: RegExp,
): Fault {
  return {
    name,
    take: () => inside(namespace, take),
    giveBack: () => inside(namespace, giveBack),
    found: [check],
    says,
  };
}

function sysctl(
  namespace: string,
  name: string,
  bad: number,
  good: number,
  check: string,
  says: RegExp,
): Fault {
  return lines(
    `${name} is ${bad}`,
    namespace,
    `sysctl -qw ${name}=${bad}`,
    `sysctl -qw ${name}=${good}`,
    check,
    says,
  );
}

/** Another file, which looks as old as the one that it is made from: nobody has changed a file under the node. */
// biome-ignore lint/suspicious/noExplicitAny: a config file as it is written, which no type describes
function variant(lab: Lab, file: string, name: string, change: (config: any) => void): string {
  const copy = join(lab.resources.directory, `${name}.yaml`);
  copyFileSync(file, copy);
  changeConfig(copy, change);
  return copy;
}

/** On the first backend. @param agent its process */
export function backendFaults(lab: Lab, agent: LabProcess): Fault[] {
  const { namespace } = lab.backends[0]!;
  let process = agent;
  const inVariant = (
    name: string,
    change: Parameters<typeof variant>[3],
    fault: Omit<Fault, 'name' | 'options' | 'take' | 'giveBack'>,
  ): Fault => ({
    name,
    take: () => undefined,
    giveBack: () => undefined,
    options: {
      config: variant(lab, lab.configFile, name.replaceAll(/\W/g, '-'), change),
      interface: HOST_LINK,
    },
    ...fault,
  });
  const nft = (name: string, rules: string, says: RegExp): Fault =>
    lines(
      name,
      namespace,
      `nft -f - <<'EOF'\ntable inet doctor {\n chain in {\n type filter hook input priority 0\n ${rules}\n }\n}\nEOF`,
      'nft delete table inet doctor',
      'firewall',
      says,
    );
  return [
    lines(
      'the VIP is missing',
      namespace,
      `ip addr del ${VIP4}/32 dev lo`,
      `ip addr add ${VIP4}/32 dev lo noprefixroute`,
      'vip-here',
      /drop_vip_not_local.*ip addr add 203\.0\.113\.10\/32 dev lo/,
    ),
    lines(
      'the IPv6 VIP is missing',
      namespace,
      `ip addr del ${VIP6}/128 dev lo`,
      `ip addr add ${VIP6}/128 dev lo nodad noprefixroute`,
      'vip-here',
      /ip addr add 2001:db8:100::10\/128 dev lo nodad/,
    ),
    lines(
      'the VIP brings its neighbours along',
      namespace,
      `ip addr add ${VIP4}/24 dev lo`,
      `ip addr del ${VIP4}/24 dev lo`,
      'vip-alone',
      /All 256 addresses/,
    ),
    sysctl(
      namespace,
      'net.ipv4.conf.all.arp_ignore',
      0,
      1,
      'arp',
      /sysctl -w net\.ipv4\.conf\.all\.arp_ignore=1/,
    ),
    sysctl(
      namespace,
      'net.ipv4.conf.all.arp_announce',
      0,
      2,
      'arp',
      /sysctl -w net\.ipv4\.conf\.all\.arp_announce=2/,
    ),
    sysctl(namespace, 'net.ipv4.tcp_syncookies', 0, 1, 'syncookies', /flood of SYNs/),
    lines(
      'rp_filter is strict, and answers leave by another interface',
      namespace,
      `ip link add x0 type veth peer name x1
ip addr add 10.9.9.1/24 dev x0
ip link set x0 up
ip link set x1 up
ip route add 198.51.100.0/24 via 10.9.9.2 dev x0
sysctl -qw net.ipv4.conf.${HOST_LINK}.rp_filter=1`,
      `sysctl -qw net.ipv4.conf.${HOST_LINK}.rp_filter=0
ip link del x0`,
      'rp-filter',
      /sysctl -w net\.ipv4\.conf\.eth0\.rp_filter=2/,
    ),
    nft(
      'a rule drops packets for a service',
      `ip daddr ${VIP4} tcp dport 80 drop`,
      /drops tcp port 80 of 203\.0\.113\.10, of the service v4-over-v4/,
    ),
    nft(
      'a policy drops packets for services',
      'policy drop\n ct state established accept\n tcp dport 22 accept\n icmp type echo-request accept\n iifname lo accept',
      /the policy of the chain inet doctor in/,
    ),
    lines(
      'the cable is pulled',
      lab.router,
      `ip link set ${lab.backends[0]!.name} down`,
      `ip link set ${lab.backends[0]!.name} up\nip addr add ${lab.backends[0]!.router6}/64 dev ${lab.backends[0]!.name} nodad`,
      'link',
      /has no carrier/,
    ),
    lines(
      'the far end of the veth has no program',
      lab.router,
      `ip link set dev ${lab.backends[0]!.name} xdp off`,
      `ip link set dev ${lab.backends[0]!.name} xdp obj ${PASS} sec xdp`,
      'veth-peer',
      /anyhop pass --interface web-1/,
    ),
    {
      name: 'the web server is stopped',
      take: () => lab.servers[0]!.stop(),
      giveBack: () => lab.startServer(0),
      found: ['listeners'],
      says: /"level":"error","saw":"no socket listens on tcp port 80 of 203\.0\.113\.10/,
    },
    {
      name: 'the agent was killed',
      take: () => process.stop('SIGKILL'),
      giveBack: async () => (process = await lab.startAgent(0)),
      found: ['agent'],
      says: /The program in the kernel still delivers/,
    },
    {
      name: 'no agent runs, and its program is gone',
      take: () => process.stop('SIGINT'),
      giveBack: () => undefined,
      found: ['agent'],
      says: /no XDP program is on eth0/,
    },
    {
      name: 'another XDP program is on the interface',
      take: () => inside(namespace, `ip link set dev ${HOST_LINK} xdp obj ${PASS} sec xdp`),
      async giveBack() {
        await inside(namespace, `ip link set dev ${HOST_LINK} xdp off`);
        process = await lab.startAgent(0);
      },
      found: ['agent'],
      says: /another XDP program is on eth0: anyhop_pass.*if nothing on this host needs it: ip link set/,
    },
    inVariant(
      'no BPF file system is where the file says',
      (config) => (config.agent.bpffs = lab.resources.directory),
      { found: ['bpffs'], says: /mount -t bpf bpf/ },
    ),
    inVariant(
      'the file says that the backend has a plain tunnel',
      (config) => {
        for (const { backends } of Object.values<{ backends: { agent: boolean }[] }>(config.pools))
          backends[0]!.agent = false;
      },
      {
        found: ['tunnel'],
        says: /no GRE tunnel takes packets to 10\.1\.1\.1.*ip link add anyhop4 type gre local 10\.1\.1\.1 remote any/,
      },
    ),
    ...(isInstalled('haproxy') ? [tierFault(lab)] : []),
    {
      ...inVariant(
        'vip_elsewhere lets packets go round',
        (config) => {
          config.agent.vip_elsewhere = true;
          for (const service of config.services) delete service.second_chance;
        },
        { found: ['vip-loop'], says: /round and round/ },
      ),
      take: () => inside(namespace, `ip addr del ${VIP4}/32 dev lo`, 'sysctl -qw net.ipv4.ip_forward=1'),
      giveBack: () =>
        inside(namespace, `ip addr add ${VIP4}/32 dev lo noprefixroute`, 'sysctl -qw net.ipv4.ip_forward=0'),
    },
  ];
}

/** nginx has the ports of the VIP that the tier is to listen on. */
function tierFault(lab: Lab): Fault {
  const key = join(lab.resources.directory, 'l7.key');
  writeFileSync(key, 'ab12cd34'.repeat(8), { mode: 0o600 });
  const config = variant(lab, lab.configFile, 'with-tier', (file) => {
    file.l7 = {
      key_file: key,
      frontends: { web: { services: ['v4-over-v4'], routes: [{ to: 'app' }] } },
      upstreams: { app: { servers: [{ name: 'app-1', address: '10.2.0.11', port: 8080 }] } },
    };
  });
  return {
    name: 'another program has the port of the tier',
    take: () => undefined,
    giveBack: () => undefined,
    options: { config, interface: HOST_LINK, as: ['proxy'] },
    found: ['tier'],
    says: /port 80/,
  };
}

/** On the first forwarder, about the second backend. @param node its process @param agent that of the backend */
export function forwarderFaults(
  lab: Lab,
  node: LabProcess,
  agent: LabProcess,
  options: DoctorPlaceOptions,
): Fault[] {
  const [{ namespace, name }, web] = [lab.forwarders[0]!, lab.backends[1]!];
  const file = lab.nodeFile(0);
  let [process, theirs] = [node, agent];
  const asked = (name: string, change: Parameters<typeof variant>[3]): DoctorPlaceOptions => ({
    ...options,
    config: variant(lab, file, name, change),
  });
  /** In place of the agents of the second backend, on both of its addresses. */
  const fakes: LabProcess[] = [];
  const startFakes = async (offS: number, report: string): Promise<void> => {
    for (const address of [web.host4, web.host6]) {
      const argv = [globalThis.process.execPath, FAKE_AGENT, address, '9611', `${offS}`, report];
      const fake = await lab.resources.startProcess('a fake agent', web.namespace, argv);
      fakes.push(fake);
      await fake.waitForEvent('ready', READY_MS);
    }
  };
  const stopFakes = async (): Promise<void> => {
    for (const fake of fakes.splice(0)) await fake.stop('SIGKILL');
  };
  const report = (services: readonly string[]): string =>
    JSON.stringify({
      version: '1.2.3',
      startedAt: '2026-01-02T03:04:05.678Z',
      vips: [VIP4, VIP6].map((vip) => ({
        vip,
        protocol: 'tcp',
        established: 0,
        services: Object.fromEntries(services.map((each) => [each, 0])),
      })),
      verdicts: {},
    });
  const all = ['v4-over-v4', 'v6-over-v6', 'v4-over-v6', 'v6-over-v4'];
  const nft = (name: string, rules: string): Fault =>
    lines(
      name,
      namespace,
      `nft -f - <<'EOF'\ntable inet doctor {\n chain in {\n type filter hook input priority 0\n ${rules}\n }\n}\nEOF`,
      'nft delete table inet doctor',
      'firewall',
      /does not learn of a smaller MTU/,
    );
  const touched = statSync(file);
  let text = '';
  const reload = (): Promise<string> =>
    run([globalThis.process.execPath, PROGRAM, 'reload', '--socket', lab.socket(0)]);
  return [
    sysctl(namespace, 'net.ipv4.ip_forward', 1, 0, 'ip-forward', /back to the router/),
    lines(
      'the VIP is an address of the forwarder',
      namespace,
      `ip addr add ${VIP4}/32 dev lo`,
      `ip addr del ${VIP4}/32 dev lo`,
      'vip-not-here',
      /the VIP 203\.0\.113\.10 is an address of this host/,
    ),
    lines(
      'the VIP is in the subnet of the interface',
      namespace,
      `ip addr add 203.0.113.1/24 dev ${HOST_LINK}`,
      `ip addr del 203.0.113.1/24 dev ${HOST_LINK}`,
      'vip-not-here',
      /answers no ARP/,
    ),
    nft('a rule drops what routers say', 'icmp type destination-unreachable drop'),
    nft('a rule drops what conntrack does not know', 'ct state invalid drop'),
    lines(
      'the far end of the veth has no program',
      lab.router,
      `ip link set dev ${name} xdp off`,
      `ip link set dev ${name} xdp obj ${PASS} sec xdp`,
      'veth-peer',
      /anyhop pass --interface edge-1/,
    ),
    lines(
      'a route swallows packets for the backend',
      namespace,
      `ip route add blackhole ${web.host4}`,
      `ip route del blackhole ${web.host4}`,
      'routes',
      /a blackhole route swallows it/,
    ),
    lines(
      'the gateway to the backend does not answer',
      namespace,
      `ip route add ${web.host4} via 10.0.1.99`,
      `ip route del ${web.host4}`,
      'backends',
      /is down since/,
    ),
    lines(
      'large packets vanish on the way',
      web.namespace,
      `ip link set ${HOST_LINK} mtu 1400`,
      `ip link set ${HOST_LINK} mtu 1600`,
      'path-mtu',
      /packets of 140[0-4] bytes arrive at .* and of 1600 do not, and nobody says so/,
    ),
    lines(
      'a router on the way has a small MTU',
      lab.router,
      `ip link set ${web.name} mtu 1500`,
      `ip link set ${web.name} mtu 1600\nip netns exec ${namespace} sh -c 'ip route flush cache; ip -6 route flush cache'`,
      'path-mtu',
      /says that 1500 fit/,
    ),
    {
      name: 'the file was changed and not read again',
      take: () => utimesSync(file, new Date(), new Date()),
      giveBack: () => utimesSync(file, touched.atime, touched.mtime),
      found: ['config'],
      says: /anyhop plan && anyhop reload/,
    },
    {
      name: 'a reload was refused',
      async take() {
        text = readFileSync(file, 'utf8');
        writeFileSync(file, `${text}\nnonsense: true\n`);
        await reload().catch(() => undefined);
        writeFileSync(file, text);
        utimesSync(file, touched.atime, touched.mtime);
      },
      giveBack: reload,
      found: ['node'],
      says: /the last reload was refused/,
    },
    {
      name: 'the key in the file is another one',
      take: () => undefined,
      giveBack: () => undefined,
      options: asked('other-key', (config) => (config.node.key = 'ffeeddccbbaa99887766554433221100')),
      found: ['key'],
      says: /another backend than this one does/,
    },
    {
      name: 'the file lists other forwarders than this one',
      take: () => undefined,
      giveBack: () => undefined,
      options: asked(
        'other-forwarders',
        (config) => (config.agent.forwarders = ['10.0.99.0/24', 'fd00:99::/64']),
      ),
      found: ['config'],
      says: /outside agent\.forwarders/,
    },
    {
      name: 'no BPF file system is where the file says',
      take: () => undefined,
      giveBack: () => undefined,
      options: asked('other-bpffs', (config) => (config.node.bpffs = lab.resources.directory)),
      found: ['bpffs'],
      says: /mount -t bpf bpf/,
    },
    {
      name: 'the process may open few descriptors',
      take: () => run(['prlimit', '--pid', `${process.pid}`, '--nofile=200:']),
      giveBack: () => run(['prlimit', '--pid', `${process.pid}`, '--nofile=1024:']),
      found: ['descriptors'],
      says: /LimitNOFILE=/,
    },
    {
      name: 'the agent of the backend was killed',
      take: () => theirs.stop('SIGKILL'),
      giveBack: () => undefined,
      found: ['agents'],
      says: /No agent runs there/,
    },
    {
      name: 'the agent does not list this forwarder',
      take: () => startFakes(0, ''),
      giveBack: stopFakes,
      found: ['agents'],
      says: /drop_stranger/,
    },
    {
      name: 'the agent does not have a service',
      take: () => startFakes(0, report(all.slice(1))),
      giveBack: stopFakes,
      found: ['agents'],
      says: /does not have the services v4-over-v4/,
    },
    {
      name: 'the clock of the backend is an hour off',
      take: () => startFakes(3_600, report(all)),
      async giveBack() {
        await stopFakes();
        theirs = await lab.startAgent(1);
      },
      found: ['clock'],
      says: /the clock of web-2 is (1h|3599s|3601s) ahead of that of this host/,
    },
    {
      name: 'the node was killed',
      take: () => process.stop('SIGKILL'),
      giveBack: async () => (process = await lab.startForwarder(0)),
      found: ['node'],
      says: /no node answers on its control socket/,
    },
  ];
}

/** On the router. */
export function routerFaults(lab: Lab): Fault[] {
  const { router } = lab;
  return [
    sysctl(
      router,
      'net.ipv4.fib_multipath_hash_policy',
      0,
      1,
      'ecmp-hash',
      /All connections of a client go to the same forwarder/,
    ),
    sysctl(router, 'net.ipv6.fib_multipath_hash_policy', 0, 1, 'ecmp-hash', /2001:db8:100::10/),
    sysctl(router, 'net.core.txrehash', 1, 0, 'txrehash', /network namespaces of the senders/),
  ];
}
