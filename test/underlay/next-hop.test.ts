/** What next hops follow from tables that this kernel cannot make: VLANs, tunnels, whole fabrics of backends. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunTool, ToolResult } from '#anyhop/core/tool.js';
import { pathOf } from '#anyhop/node/paths.js';
import type { StartMonitor } from '#anyhop/underlay/monitor.js';
import { NextHops, type NextHopsOptions } from '#anyhop/underlay/next-hops.js';
import { lineLog, targets, told } from './underlay.js';

interface FakeLink {
  readonly ifname: string;
  readonly [field: string]: unknown;
}

/** A system by what its `ip` says; `links` and `neighbours` may be changed while it runs. */
class FakeSystem {
  links: FakeLink[] = [];
  /** Device and gateway for every address; undefined for no route. */
  route: (address: string) => object | undefined = () => ({ dev: 'eth0' });
  neighbours: object[] = [];
  /** Called with each address that the kernel is told to use; its answer is a failure. */
  used: (address: string) => string | undefined = () => undefined;
  /** How often routes were read. */
  reads = 0;

  readonly run: RunTool = async (_program, args, input = '') => {
    if (args.includes('link')) return good(JSON.stringify(this.links));
    if (args.includes('neigh')) return good(JSON.stringify(this.neighbours));
    const commands = input.trim().split('\n');
    if (commands[0]!.startsWith('neigh')) {
      const failures = commands.flatMap((line) => this.used(line.split(' ')[2]!) ?? []);
      return failures.length === 0 ? good('') : { code: 1, stdout: '', stderr: failures.join('\n') };
    }
    this.reads += 1;
    let [stdout, stderr] = ['', ''];
    for (const [i, line] of commands.entries()) {
      const route = this.route(line.split(' ')[2]!);
      if (route !== undefined) stdout += `${JSON.stringify([{ type: 'unicast', ...route }])}\n`;
      else stderr += `RTNETLINK answers: Network is unreachable\nCommand failed -:${i + 1}\n`;
    }
    return { code: stderr === '' ? 0 : 1, stdout, stderr };
  };
}

function good(stdout: string): ToolResult {
  return { code: 0, stdout, stderr: '' };
}

/** An Ethernet interface that is up, unless `more` says otherwise. */
function link(ifname: string, ifindex: number, more: object = {}): FakeLink {
  const address = `02:00:00:00:00:0${ifindex}`;
  return { ifname, ifindex, mtu: 1500, flags: ['UP', 'LOWER_UP'], link_type: 'ether', address, ...more };
}

function vlan(parent: string | undefined, id: number, protocol = '802.1Q'): object {
  const info = { linkinfo: { info_kind: 'vlan', info_data: { protocol, id } } };
  return parent === undefined ? info : { link: parent, ...info };
}

function neighbour(dst: string, dev: string, state: string, lladdr?: string): object {
  return { dst, dev, state: [state], ...(lladdr === undefined ? {} : { lladdr }) };
}

const noMonitor: StartMonitor = () => ({ close: async () => {} });
const open: NextHops[] = [];
after(async () => {
  for (const each of open) await each.close();
});

/** Resolves the addresses in this system; `lines` collects the log. */
async function resolved(
  system: FakeSystem,
  addresses: readonly string[],
  { lines = [] as string[], ...options }: Partial<NextHopsOptions> & { lines?: string[] } = {},
): Promise<NextHops> {
  const hops = new NextHops({ log: lineLog(lines), run: system.run, monitor: noMonitor, ...options });
  open.push(hops);
  await hops.resolve(targets(...addresses), 200);
  return hops;
}

const MAC = '02:00:00:00:00:fe';

test('over a VLAN interface frames leave by its parent, with its own MAC address and the tag', async () => {
  const system = new FakeSystem();
  system.links = [
    link('eth0', 2, { mtu: 9000, linkinfo: { info_kind: 'bond' } }),
    link('eth0.7', 3, { mtu: 1496, ...vlan('eth0', 7) }),
  ];
  system.route = () => ({ dev: 'eth0.7', gateway: '10.7.0.254' });
  system.neighbours = [neighbour('10.7.0.254', 'eth0.7', 'STALE', MAC)];
  const hops = await resolved(system, ['10.1.0.1']);
  const hop = hops.current().get('10.1.0.1')!;
  assert.deepEqual(hop, {
    interface: 'eth0',
    interfaceIndex: 2,
    kind: 'bond',
    sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 3),
    destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 0xfe),
    vlan: 7,
    mtu: 1496,
  });
  assert.equal(told(hops)['10.1.0.1'], `${MAC} over eth0, VLAN 7, MTU 1496`);
  const path = {
    mtu: 1496,
    sourceMac: hop.sourceMac,
    destinationMac: hop.destinationMac,
    vlan: 7,
  };
  assert.deepEqual(pathOf(hop, 2), { ...path, interfaceIndex: 0 }, 'the way out is the way in');
  assert.deepEqual(pathOf(hop, 9), { ...path, interfaceIndex: 2 });
  assert.equal(pathOf({ reason: 'no route covers it' }, 2), undefined);
});

for (const { what, links, route = {}, reason } of [
  {
    what: 'VLAN interface on a VLAN interface',
    links: [link('eth0', 2), link('q', 3, vlan('eth0', 7)), link('out', 4, vlan('q', 8))],
    reason: 'VLAN interface out stands on another one, q: one tag is the most',
  },
  {
    what: 'service tag',
    links: [link('eth0', 2), link('out', 3, vlan('eth0', 7, '802.1ad'))],
    reason: 'interface out tags with 802.1ad and identifier 7: 802.1Q and 1 to 4094 can be sent',
  },
  {
    what: 'VLAN interface whose parent is in another namespace',
    links: [link('out', 3, vlan(undefined, 7))],
    reason: 'the parent of VLAN interface out is in another network namespace',
  },
  {
    what: 'VLAN interface whose parent is down',
    links: [link('eth0', 2, { flags: [] }), link('out', 3, vlan('eth0', 7))],
    reason: 'interface eth0 is down',
  },
  {
    what: 'tunnel',
    links: [link('out', 3, { link_type: 'gre', address: '10.0.0.1', linkinfo: { info_kind: 'gre' } })],
    reason: 'interface out is not Ethernet but of type gre',
  },
  {
    what: 'route that encapsulates',
    links: [link('out', 3)],
    route: { encap: 'mpls' },
    reason: 'its route wraps packets in mpls, which only the kernel does',
  },
  { what: 'interface that is gone', links: [], reason: 'its interface out is gone' },
]) {
  test(`no next hop over a ${what}, and the reason is told`, async () => {
    const system = new FakeSystem();
    system.links = links;
    system.route = () => ({ dev: 'out', ...route });
    system.neighbours = [neighbour('10.1.0.1', 'out', 'REACHABLE', MAC)];
    const lines: string[] = [];
    const hops = await resolved(system, ['10.1.0.1'], { lines });
    assert.deepEqual(told(hops), { '10.1.0.1': reason });
    assert.deepEqual(lines, [`warn: web/10.1.0.1 (10.1.0.1) has no next hop: ${reason}: it counts as down`]);
  });
}

test('for an engine that leaves the frames to the kernel, a tunnel is a next hop, and a silent neighbour is none', async () => {
  const system = new FakeSystem();
  system.links = [link('eth0', 2), link('wg0', 3, { link_type: 'none', address: undefined, mtu: 1420 })];
  system.route = (address) =>
    address === '10.1.0.1' ? { dev: 'wg0' } : { dev: 'eth0', gateway: '10.0.0.254', encap: 'ip6' };
  const hops = await resolved(system, ['10.1.0.1', '10.1.0.2'], { asFrames: false });
  assert.deepEqual(told(hops), {
    '10.1.0.1': '00:00:00:00:00:00 over wg0, MTU 1420',
    '10.1.0.2': 'its gateway 10.0.0.254 does not answer ARP on eth0',
  });
});

for (const [state, isUsable] of Object.entries({
  REACHABLE: true,
  STALE: true,
  DELAY: true,
  PROBE: true,
  PERMANENT: true,
  NOARP: true,
  INCOMPLETE: false,
  FAILED: false,
  NONE: false,
})) {
  test(`a neighbour that is ${state} ${isUsable ? 'has a usable address' : 'is asked first'}`, async () => {
    const system = new FakeSystem();
    system.links = [link('eth0', 2)];
    system.neighbours = [neighbour('10.0.0.9', 'eth0', state, MAC)];
    const asked: string[] = [];
    system.used = (address) => {
      asked.push(address);
      return undefined;
    };
    const hops = await resolved(system, ['10.0.0.9']);
    assert.equal(hops.current().get('10.0.0.9')!.reason === undefined, isUsable);
    assert.deepEqual(asked, isUsable ? [] : ['10.0.0.9']);
  });
}

test('a kernel that may not be told to use neighbours is complained about once', async () => {
  const system = new FakeSystem();
  system.links = [link('eth0', 2)];
  system.used = () => 'RTNETLINK answers: Operation not permitted';
  const lines: string[] = [];
  const hops = await resolved(system, ['10.0.0.9', '10.0.0.10'], { lines });
  await hops.resolve(targets('10.0.0.11'), 50);
  const complaints = lines.filter((line) => line.includes('Operation not permitted'));
  assert.deepEqual(complaints, [
    'warn: neighbours cannot be kept resolved: RTNETLINK answers: Operation not permitted ' +
      '(the program ip needs CAP_NET_ADMIN: let it be an ambient capability of this process)',
  ]);
});

test('a next hop that the engine cannot send to is none', async () => {
  const system = new FakeSystem();
  system.links = [link('br0', 2, { linkinfo: { info_kind: 'bridge' } })];
  system.route = () => ({ dev: 'br0' });
  system.neighbours = [neighbour('10.1.0.1', 'br0', 'REACHABLE', MAC)];
  const lines: string[] = [];
  await resolved(system, ['10.1.0.1'], { lines, refuse: ({ kind }) => `it stands behind a ${kind}` });
  assert.deepEqual(lines, [
    'warn: web/10.1.0.1 (10.1.0.1) has no next hop: it stands behind a bridge: it counts as down',
  ]);
});

test('backends behind one gateway share one log line', async () => {
  const system = new FakeSystem();
  system.links = [link('eth0', 2)];
  system.route = () => ({ dev: 'eth0', gateway: '10.0.0.254' });
  system.neighbours = [neighbour('10.0.0.254', 'eth0', 'REACHABLE', MAC)];
  const lines: string[] = [];
  await resolved(
    system,
    Array.from({ length: 100 }, (_, i) => `10.1.0.${i + 1}`),
    { lines },
  );
  assert.deepEqual(lines, [
    'info: next hop of web/10.1.0.1 (10.1.0.1), web/10.1.0.2 (10.1.0.2), web/10.1.0.3 (10.1.0.3) and 97 more ' +
      `is ${MAC} over eth0, MTU 1500`,
  ]);
});

test('backends of two pools that share an address share its next hop', async () => {
  const system = new FakeSystem();
  system.links = [link('eth0', 2)];
  system.neighbours = [neighbour('10.1.0.1', 'eth0', 'REACHABLE', MAC)];
  const lines: string[] = [];
  const hops = await resolved(system, [], { lines });
  const [first] = targets('10.1.0.1');
  await hops.resolve([first!, { ...first!, name: 'api/1' }]);
  assert.deepEqual(lines, [
    `info: next hop of web/10.1.0.1 (10.1.0.1), api/1 (10.1.0.1) is ${MAC} over eth0, MTU 1500`,
  ]);
});

test('a burst of a thousand changes is read once or twice', async () => {
  const system = new FakeSystem();
  system.links = [link('eth0', 2)];
  system.neighbours = [neighbour('10.1.0.1', 'eth0', 'REACHABLE', MAC)];
  let changed = (): void => {};
  const monitor: StartMonitor = (listener) => {
    changed = () => listener.changed('anything');
    return { close: async () => {} };
  };
  const hops = await resolved(system, ['10.1.0.1'], { monitor });
  const before = system.reads;
  for (let i = 0; i < 1_000; i++) changed();
  system.links = [link('eth0', 2, { mtu: 1400 })];
  let isTold = false;
  hops.onChange(() => {
    isTold = true;
  });
  for (let i = 0; i < 500 && !isTold; i++) await delay(10);
  assert.deepEqual(told(hops), { '10.1.0.1': `${MAC} over eth0, MTU 1400` });
  assert.ok(system.reads - before <= 2, `${system.reads - before} reads`);
});
