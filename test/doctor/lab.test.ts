/**
 * Faults made on purpose in a fleet in network namespaces, one after the other: the doctor names each, and nothing else; and once it is
 * mended, nothing at all. What a namespace cannot break is tested from recorded trees (recorded.test.ts).
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HOST_LINK, VIP4 } from '../../scripts/lab/topology.js';
import { AskedDoctor, type Report } from './asked.js';

const TIMEOUT_MS = 120_000;
const skip = missingForLab(['ss'])?.message ?? false;

let lab: Lab;
const doctors = new Map<string, AskedDoctor>();

if (!skip) {
  before(async () => {
    lab = await createLab({ forwarders: 1, backends: 2 });
    await lab.startAll();
    const [edge, web] = [lab.forwarders[0]!, lab.backends[0]!];
    const on = { interface: HOST_LINK };
    doctors.set(
      'edge',
      await AskedDoctor.start(edge.namespace, {
        ...on,
        config: lab.nodeFile(0),
        name: edge.name,
        source: [edge.host4, edge.host6],
      }),
    );
    doctors.set('web', await AskedDoctor.start(web.namespace, { ...on, config: lab.configFile }));
  });
  after(async () => {
    for (const doctor of doctors.values()) doctor.close();
    await lab?.close();
  });
}

interface Fault {
  readonly name: string;
  readonly on: 'edge' | 'web';
  /** Lines of a shell, in the namespace of the host. */
  readonly take: string;
  readonly giveBack: string;
  /** By the names of checks. */
  readonly found: readonly string[];
  /** In the findings' texts. */
  readonly says: RegExp;
}

const sysctl = (name: string, bad: number, good: number) => ({
  take: `sysctl -qw ${name}=${bad}`,
  giveBack: `sysctl -qw ${name}=${good}`,
});

const FAULTS: readonly Fault[] = [
  {
    name: 'the VIP is missing',
    on: 'web',
    take: `ip addr del ${VIP4}/32 dev lo`,
    giveBack: `ip addr add ${VIP4}/32 dev lo`,
    found: ['vip-here'],
    says: /drop_vip_not_local/,
  },
  {
    name: 'arp_ignore is 0',
    on: 'web',
    ...sysctl('net.ipv4.conf.all.arp_ignore', 0, 1),
    found: ['arp'],
    says: /arp_ignore=1/,
  },
];

test('a healthy fleet is well, on each of its hosts', { skip, timeout: TIMEOUT_MS }, async () => {
  for (const [name, doctor] of doctors) assertWell(await doctor.ask(), name);
});

for (const fault of FAULTS) {
  test(`the doctor names it and nothing else: ${fault.name}`, { skip, timeout: TIMEOUT_MS }, async () => {
    const { namespace } = fault.on === 'edge' ? lab.forwarders[0]! : lab.backends[0]!;
    const doctor = doctors.get(fault.on)!;
    await run(inNamespace(namespace, ['sh', '-ec', fault.take]));
    try {
      const report = await doctor.ask();
      assert.deepEqual(
        report.findings.map(({ check }) => check),
        fault.found,
        JSON.stringify(report.findings, null, 1),
      );
      assert.match(JSON.stringify(report.findings), fault.says);
    } finally {
      await run(inNamespace(namespace, ['sh', '-ec', fault.giveBack]));
    }
    assertWell(await doctor.ask(), 'mended');
  });
}

function assertWell({ findings, unseen }: Report, what: string): void {
  assert.deepEqual({ findings, unseen }, { findings: [], unseen: [] }, what);
}
