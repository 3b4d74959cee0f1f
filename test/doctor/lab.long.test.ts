/**
 * Faults made on purpose in a fleet in network namespaces, one after the other: the doctor names each, and nothing else; and once it is
 * mended, nothing at all. What a namespace cannot break is tested from recorded trees (recorded.test.ts).
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DoctorPlaceOptions } from '#anyhop/cli/doctor-places.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { fourMixes } from '../../scripts/lab/config.js';
import { createLab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import { backendAddresses, HOST_LINK, VIP4 } from '../../scripts/lab/topology.js';
import { AskedDoctor, type Report } from './asked.js';
import { backendFaults, type Fault, forwarderFaults, inside, routerFaults } from './faults.js';

const TIMEOUT_MS = 180_000;
/** Until a fault shows, and until it is forgotten: a node needs a moment to find that a neighbour is gone, and that it is back. */
const SHOWS_MS = 40_000;
const AGAIN_MS = 100;
const FAULTS_MIN = 20;
/** With second chance, so that agents send packets too. */
const SERVICES = fourMixes([1, 2].map((n) => ({ name: `web-${n}`, ...backendAddresses(n) }))).map(
  (service) => ({
    ...service,
    secondChance: 'on' as const,
  }),
);
const skip = missingForLab(['ss', 'prlimit'])?.message ?? false;

test('the doctor names each fault that is made on purpose, and nothing else', {
  skip,
  timeout: TIMEOUT_MS,
}, async (t) => {
  const lab = await createLab({ forwarders: 2, backends: 2, services: SERVICES });
  try {
    const agents = await Promise.all([lab.startAgent(0), lab.startAgent(1)]);
    const node = await lab.startForwarder(0);
    const [edge, web] = [lab.forwarders[0]!, lab.backends[0]!];
    // Otherwise the kernel waits three seconds for a gateway that does not answer.
    await inside(edge.namespace, `sysctl -qw net.ipv4.neigh.${HOST_LINK}.retrans_time_ms=200`);
    const onEdge: DoctorPlaceOptions = {
      config: lab.nodeFile(0),
      name: edge.name,
      interface: HOST_LINK,
      source: [edge.host4, edge.host6],
    };
    const [edgeDoctor, webDoctor, routerDoctor] = await Promise.all([
      AskedDoctor.start(edge.namespace, onEdge),
      AskedDoctor.start(web.namespace, { config: lab.configFile, interface: HOST_LINK }),
      AskedDoctor.start(lab.router, { config: lab.configFile, as: ['router'] }),
    ]);
    const doctors = { edge: edgeDoctor, web: webDoctor, router: routerDoctor };
    const areWell = async (): Promise<void> => {
      for (const [name, doctor] of Object.entries(doctors)) await shows(doctor, {}, [], `${name} is well`);
    };
    await t.test('a healthy fleet is well', areWell);
    await t.test('a node that runs tells who it is', async () => {
      const unsaid = { name: undefined, interface: undefined, source: undefined };
      const { places } = await shows(edgeDoctor, unsaid as unknown as DoctorPlaceOptions, [], 'edge');
      const config = lab.nodeFile(0);
      assert.deepEqual(places, [{ where: 'forwarder', name: 'edge-1', interface: HOST_LINK, config }]);
    });
    await t.test(
      'a backend is no forwarder because the socket of a node elsewhere can be seen there',
      async () => {
        const { places } = await shows(webDoctor, { socket: lab.socket(0) }, [], 'web');
        assert.deepEqual(
          places.map(({ where }) => where),
          ['backend'],
        );
      },
    );
    const aboutWeb2 = { ...onEdge, backend: 'web-2' };
    const faults = {
      edge: forwarderFaults(lab, node, agents[1], aboutWeb2),
      web: backendFaults(lab, agents[0]),
      router: routerFaults(lab),
    };
    const all = Object.values(faults).flat();
    assert.ok(all.length >= FAULTS_MIN);
    await Promise.all(
      Object.entries(faults).map(async ([on, list]) => {
        const options = on === 'edge' ? aboutWeb2 : {};
        for (const fault of list)
          await t.test(`on ${on}: ${fault.name}`, () =>
            isNamed(doctors[on as keyof typeof doctors], fault, options),
          );
      }),
    );
    await t.test('the fleet is well again', areWell);
    await t.test(
      'the command says it in words and in JSON, and its exit code is that of the worst',
      async () => {
        const ask = (...args: readonly string[]): Promise<[code: number, text: string]> =>
          commandIn(web.namespace, ['doctor', '-c', lab.configFile, ...args]);
        const [well, all] = await ask('--all');
        assert.match(all, /^backend web-1 on eth0\n\nwell\n {2}link .*all well: \d+ checks in /s);
        assert.equal(well, 0);
        await inside(web.namespace, 'sysctl -qw net.ipv4.tcp_syncookies=0');
        const [warned, text] = await ask();
        assert.match(
          text,
          /\nwarning: syncookies\n {2}saw .*\n {2}breaks .*\n {2}mend {4}sysctl -w net\.ipv4\.tcp_syncookies=1\n\n1 warning: /,
        );
        assert.equal(warned, 1);
        await inside(web.namespace, `ip addr del ${VIP4}/32 dev lo`);
        const [failed, json] = await ask('--json');
        const { worst, findings, tookMs } = JSON.parse(json) as Report;
        assert.deepEqual([failed, worst], [3, 'error']);
        assert.deepEqual(
          findings.map(({ where, check, level }) => [where, check, level]),
          [
            ['backend', 'vip-here', 'error'],
            ['backend', 'syncookies', 'warning'],
          ],
        );
        t.diagnostic(`a backend is looked at in ${tookMs} ms`);
      },
    );
    t.diagnostic(`${all.length} faults`);
  } finally {
    await lab.close();
  }
});

async function isNamed(
  doctor: AskedDoctor,
  fault: Fault,
  options: Partial<DoctorPlaceOptions>,
): Promise<void> {
  await fault.take();
  try {
    const { findings } = await shows(doctor, fault.options ?? options, fault.found, fault.name);
    assert.match(JSON.stringify(findings), fault.says);
  } finally {
    await fault.giveBack();
  }
}

/** Its exit code, and what it printed. */
function commandIn(namespace: string, args: readonly string[]): Promise<[code: number, text: string]> {
  const [program = '', ...rest] = inNamespace(namespace, [process.execPath, PROGRAM, ...args]);
  return new Promise((resolve, reject) => {
    execFile(program, rest, { timeout: SHOWS_MS }, (error, stdout) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve([Number(error?.code ?? 0), stdout]);
    });
  });
}

/** Asks until these checks have findings and no others, and every check could look. */
async function shows(
  doctor: AskedDoctor,
  options: Partial<DoctorPlaceOptions>,
  checks: readonly string[],
  what: string,
): Promise<Report> {
  const deadline = Date.now() + SHOWS_MS;
  for (;;) {
    const report = await doctor.ask(options);
    const named = [...new Set(report.findings.map(({ check }) => check))];
    const isIt = named.join() === checks.join() && report.unseen.length === 0;
    if (isIt) return report;
    if (Date.now() > deadline)
      assert.deepEqual(
        { named, unseen: report.unseen },
        { named: checks, unseen: [] },
        `${what}\n${JSON.stringify(report.findings, null, 1)}`,
      );
    await delay(AGAIN_MS);
  }
}
