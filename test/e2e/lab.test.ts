/** The whole path on real packets: client, ECMP router, forwarders, GRE, agents, nginx, and the way back. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeStatus } from '#anyhop/api/status.js';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { VERSION } from '#anyhop/core/version.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { leftovers } from '../../scripts/lab/names.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import { getRequests, type HttpAnswer } from '../../scripts/lab/requests.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const GRE = 'ip proto 47 or ip6 proto 47';
const FROM_VIP = `src host ${VIP4} or src host ${VIP6}`;
const TO_VIP = `dst host ${VIP4} or dst host ${VIP6}`;
/** Outer header, GRE version 0 without key, and a whole TCP packet for a VIP inside, as tcpdump words them. */
const VALID_GRE =
  /^IP6? \(.*GRE \(47\).*\) \S+ > \S+: GREv0, Flags \[none\], length \d+ IP6? \(.*TCP \(6\).*\) \S+ > (203\.0\.113\.10|2001:db8:100::10)\.80(80)?: Flags \[\S+\], cksum 0x[0-9a-f]{4} \(correct\)/;
const INVALID = /\b(bad|incorrect|wrong|malformed|truncated)\b|\[\|/i;
const TIMEOUT_MS = 60_000;

/** Requests of every mix of inner and outer IP version, `count` of each. */
function everyMix(count: number, firstSourcePort: number) {
  return [VIP4, VIP6].flatMap((vip) =>
    HTTP_PORTS.flatMap((port) => getRequests(vip, port, { count, firstSourcePort })),
  );
}

function request(lab: Lab, requests: ReturnType<typeof everyMix>): Promise<HttpAnswer[]> {
  return lab.request({ requests, concurrency: 8, timeoutMs: 5_000 });
}

function failures(answers: readonly HttpAnswer[]): HttpAnswer[] {
  return answers.filter(({ error }) => error !== null);
}

/** Who answered each flow. */
function owners(answers: readonly HttpAnswer[]): Map<string, string | null> {
  const flow = ({ host, port, sourcePort }: HttpAnswer): string => `${sourcePort} > ${host} ${port}`;
  return new Map(
    [...answers].sort((a, b) => flow(a).localeCompare(flow(b))).map((a) => [flow(a), a.backend]),
  );
}

describe('a fleet of two forwarders and three backends', { skip: missingForLab()?.message ?? false }, () => {
  let lab: Lab;

  before(
    async () => {
      lab = await createLab({ forwarders: 2, backends: 3 });
      await lab.startAll();
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  test('every request is answered, over all mixes of inner and outer IP version, by every backend', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const answers = await request(lab, everyMix(25, 20_000));
    assert.deepEqual(failures(answers), []);
    const names = new Set(answers.map(({ backend }) => backend));
    assert.deepEqual([...names].sort(), ['web-1', 'web-2', 'web-3']);
  });

  test('what reaches a backend is valid GRE, and no answer passes a forwarder', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const atBackends = await Promise.all(lab.backends.map((host) => lab.capture(host)));
    const atForwarders = await Promise.all(lab.forwarders.map((host) => lab.capture(host)));
    const answers = await request(lab, everyMix(12, 21_000));
    await Promise.all([...atBackends, ...atForwarders].map((capture) => capture.stop()));
    assert.deepEqual(failures(answers), []);
    for (const capture of atBackends) {
      const packets = await capture.decode(GRE);
      assert.ok(packets.length > 0, 'a backend got no GRE');
      for (const packet of packets) {
        assert.match(packet, VALID_GRE);
        assert.doesNotMatch(packet, INVALID);
      }
      assert.deepEqual(await capture.decode(TO_VIP), [], 'a backend got a packet for the VIP without GRE');
      assert.notEqual((await capture.decode(FROM_VIP)).length, 0, 'a backend did not answer from the VIP');
    }
    for (const capture of atForwarders) {
      assert.notEqual((await capture.decode(TO_VIP)).length, 0, 'a forwarder got nothing');
      assert.deepEqual(await capture.decode(FROM_VIP), [], 'a packet from the VIP passed a forwarder');
    }
  });

  test('both forwarders send a flow to the same backend, the one that "which" names', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const requests = everyMix(10, 22_000);
    const byForwarder: Map<string, string | null>[] = [];
    try {
      for (const index of [0, 1]) {
        await lab.routeTo([index]);
        byForwarder.push(owners(await request(lab, requests)));
      }
    } finally {
      await lab.routeTo([0, 1]);
    }
    assert.deepEqual(byForwarder[0], byForwarder[1]);
    for (const { host, port, sourcePort } of requests.filter((_, i) => i % 10 === 0)) {
      const source = host === VIP4 ? lab.client.host4 : `[${lab.client.host6}]`;
      const target = host === VIP4 ? host : `[${host}]`;
      const flow = ['--proto', 'tcp', '--src', `${source}:${sourcePort}`, '--dst', `${target}:${port}`];
      for (const index of [0, 1]) {
        const { owner } = JSON.parse(await lab.anyhop(index, ['which', '--json', ...flow]));
        assert.equal(owner, byForwarder[index]!.get(`${sourcePort} > ${host} ${port}`));
      }
    }
  });

  test('status tells of each backend whether its agent answers, its version, VIPs and connections', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const ask = async (): Promise<NodeStatus['pools'][0]['backends'][0]['agent'][]> => {
      const status = JSON.parse(
        await lab.exec(lab.forwarders[0]!.namespace, [
          'curl',
          '-s',
          '--unix-socket',
          lab.socket(0),
          'http://node/status',
        ]),
      ) as NodeStatus;
      return status.pools.flatMap(({ backends }) => backends.map(({ agent }) => agent));
    };
    let agents = await ask();
    for (let i = 0; i < 100 && !agents.every((agent) => agent?.reachable); i++) {
      await delay(100);
      agents = await ask();
    }
    assert.equal(agents.length, 12);
    for (const agent of agents) {
      assert.deepEqual([agent?.reachable, agent?.version, agent?.vips], [true, VERSION, [VIP4, VIP6]]);
      assert.equal(typeof agent?.connections, 'number');
    }
  });

  test('a forwarder answers pings to the VIP; no backend sees them', { timeout: TIMEOUT_MS }, async () => {
    const captures = await Promise.all(lab.backends.map((host) => lab.capture(host)));
    for (const vip of [VIP4, VIP6]) {
      const printed = await lab.exec(lab.client.namespace, [
        'ping',
        '-n',
        '-c',
        '2',
        '-i',
        '0.2',
        '-W',
        '2',
        vip,
      ]);
      assert.match(printed, / 2 received, 0% packet loss/);
    }
    for (const capture of captures) {
      await capture.stop();
      assert.deepEqual(await capture.decode(GRE), []);
    }
  });

  test("a forwarder's own TCP services go on working on its own addresses, and are not reached through a VIP", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const server = `require('node:http').createServer((_, answer) => answer.end('own'))
      .listen(2222, '::', () => console.log('listening'))`;
    const argv = [process.execPath, '-e', server];
    const fetch = (host: string): Promise<string> =>
      lab.exec(lab.client.namespace, ['curl', '-s', '--max-time', '1', `http://${host}:2222/`]);
    for (const { name, namespace, host4, host6 } of lab.forwarders) {
      const own = await lab.resources.startProcess(`own service of ${name}`, namespace, argv);
      await own.waitForLine((line) => line === 'listening', 'listening', 5_000);
      assert.equal(await fetch(host4), 'own');
      assert.equal(await fetch(`[${host6}]`), 'own');
    }
    // 28 is curl's time-out: silence, not the RST of a host that has no such port.
    await assert.rejects(fetch(VIP4), /exit code 28/);
    await assert.rejects(fetch(`[${VIP6}]`), /exit code 28/);
  });
});

for (const engine of NODE_ENGINES) {
  test(`the first packet after a start of ${engine} is not lost`, {
    skip: missingForLab()?.message ?? false,
    timeout: TIMEOUT_MS,
  }, async () => {
    const lab = await createLab({ forwarders: 1, backends: 1, engine });
    try {
      await lab.startAll();
      const ping = ['ping', '-n', '-c', '1', '-W', '2', VIP4];
      assert.match(await lab.exec(lab.client.namespace, ping), / 1 received, 0% packet loss/);
    } finally {
      await lab.close();
    }
  });

  test(`the final counters of ${engine} tell every packet that reached a backend, and closing a lab leaves nothing`, {
    skip: missingForLab()?.message ?? false,
    timeout: TIMEOUT_MS,
  }, async () => {
    const lab = await createLab({ forwarders: 1, backends: 1, engine });
    try {
      const { forwarders } = await lab.startAll();
      const answers = await request(lab, everyMix(5, 20_000));
      assert.deepEqual(failures(answers), []);
      const reached = (await lab.counters()).get('web-1')!.gre;
      assert.deepEqual(await forwarders[0]!.stop(), { code: 0, signal: null });
      const last = forwarders[0]!.events.findLast(({ event }) => event === 'counters')!;
      const { forwarded } = last['verdicts'] as { forwarded: number };
      assert.equal(forwarded, reached);
      assert.notEqual(leftovers(lab.name).length, 0, 'a running lab is not seen');
    } finally {
      await lab.close();
    }
    assert.deepEqual(leftovers(lab.name), []);
  });
}
