/** Health on real packets: what is found out about a backend moves its slots, and gives them back. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { BackendStatus, NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 60_000;
const TIMING = { interval: '400ms', timeout: '350ms', rise: 2, fall: 2 };
const skip = missingForLab()?.message ?? false;

const statusOf = async (lab: Lab) => (await ask(lab.socket(0), '/status')) as NodeStatus;

/** By `pool/backend`. */
function backendsOf(status: NodeStatus): Map<string, BackendStatus> {
  return new Map(
    status.pools.flatMap(({ name, backends }) => backends.map((each) => [`${name}/${each.name}`, each])),
  );
}

const slotsOf = (status: NodeStatus) =>
  [...backendsOf(status)].map(([name, { slots }]) => `${name} ${slots}`);

/** The first status that `wanted` accepts. */
async function eventually(
  lab: Lab,
  what: string,
  wanted: (status: NodeStatus) => boolean,
): Promise<NodeStatus> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const status = await statusOf(lab);
    if (wanted(status)) return status;
    if (Date.now() > deadline) {
      const all = [...backendsOf(status)].map(
        ([name, { health, healthReason }]) => `${name} ${health} ${healthReason}`,
      );
      assert.fail(`never ${what}; ${all.join('; ')}`);
    }
    await delay(20);
  }
}

/** @param server `web-1`, or `web` for all */
const healthOf = (status: NodeStatus, server: string): string[] =>
  [...backendsOf(status)].flatMap(([name, { health }]) => (name.includes(`/${server}`) ? health : []));
const allAre = (health: string, server: string) => (status: NodeStatus) =>
  healthOf(status, server).every((each) => each === health);

/** Requests over every mix of inner and outer IP version. @returns who answered; fails when one was not answered */
async function answerers(lab: Lab, firstSourcePort: number): Promise<string[]> {
  const requests = [VIP4, VIP6].flatMap((vip) =>
    HTTP_PORTS.flatMap((port) => getRequests(vip, port, { count: 20, firstSourcePort })),
  );
  const answers = await lab.request({ requests, concurrency: 8, timeoutMs: 5_000 });
  assert.deepEqual(
    answers.filter(({ error }) => error !== null),
    [],
  );
  return [...new Set(answers.map(({ backend }) => backend ?? ''))].sort();
}

const linesOf = (forwarder: LabProcess, event: string) =>
  forwarder.events.filter((each) => each.event === event).map(({ msg }) => String(msg));

describe('backends that are checked through the tunnel, IPv4 and IPv6, inside and out', { skip }, () => {
  let lab: Lab;
  let agents: LabProcess[];
  let forwarder: LabProcess;
  let whole: string[];

  before(
    async () => {
      lab = await createLab({
        forwarders: 1,
        backends: 3,
        pool: { health: { kind: 'tunnel', ...TIMING }, dead_after: '1s' },
      });
      // The third agent is missing: its backend is down from the start.
      agents = await Promise.all([lab.startAgent(0), lab.startAgent(1)]);
      forwarder = await lab.startForwarder(0);
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  test('are known before the node says that it is ready, and one without an agent is down', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const status = await statusOf(lab);
    for (const server of ['web-1', 'web-2']) assert.deepEqual(healthOf(status, server), Array(4).fill('up'));
    for (const health of healthOf(status, 'web-3')) assert.match(health, /^(down|dead)$/);
    const { healthReason, check } = backendsOf(status).get('v4-over-v4/web-3')!;
    assert.equal(check, 'tunnel');
    assert.equal(healthReason, `no answer from ${VIP4}:80 through the tunnel within 350ms`);
    const events = forwarder.events.map(({ event }) => event);
    assert.ok(events.lastIndexOf('health') < events.indexOf('ready'));
    assert.deepEqual(await answerers(lab, 20_000), ['web-1', 'web-2']);
    assert.match(
      linesOf(forwarder, 'health').join('\n'),
      /^v6-over-v4\/web-3 is down: no answer from \[2001:db8:100::10\]:8080 through the tunnel within 350ms, first check$/m,
    );
    agents.push(await lab.startAgent(2));
    whole = slotsOf(await eventually(lab, 'up', allAre('up', 'web')));
  });

  test('leave no half-open connections behind', { timeout: TIMEOUT_MS }, async () => {
    const halfOpen = () => lab.exec(lab.backends[0]!.namespace, ['ss', '-Htan', 'state', 'syn-recv']);
    // A check is on its way at times; its end comes at once.
    for (let i = 0; i < 50 && (await halfOpen()) !== ''; i++) await delay(10);
    assert.equal(await halfOpen(), '');
  });

  test('are down when the server stops, dead after dead_after, and get their slots back when it is there again', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await lab.servers[0]!.stop();
    const down = await eventually(lab, 'down', (status) => !healthOf(status, 'web-1').includes('up'));
    const { healthReason, slots, healthSince } = backendsOf(down).get('v6-over-v6/web-1')!;
    assert.equal(healthReason, `[${VIP6}]:80 refuses connections`);
    assert.equal(slots, 0);
    assert.ok(Date.now() - Date.parse(healthSince) < 5_000);
    assert.deepEqual(await answerers(lab, 21_000), ['web-2', 'web-3']);
    await eventually(lab, 'dead', allAre('dead', 'web-1'));
    assert.match(
      linesOf(forwarder, 'health').join('\n'),
      /^v4-over-v4\/web-1 is down: 203\.0\.113\.10:80 refuses connections, 2 in a row$/m,
    );

    await lab.startServer(0);
    const up = await eventually(lab, 'up', allAre('up', 'web-1'));
    assert.deepEqual(slotsOf(up), whole);
    assert.deepEqual(await answerers(lab, 22_000), ['web-1', 'web-2', 'web-3']);
    assert.match(
      linesOf(forwarder, 'health').join('\n'),
      /^v4-over-v4\/web-1 is up: the check is good, 2 in a row$/m,
    );
  });

  test('are down when the agent or the VIP is missing', { timeout: TIMEOUT_MS }, async () => {
    await agents[1]!.stop('SIGINT');
    await eventually(lab, 'down', (status) => !healthOf(status, 'web-2').includes('up'));
    const { namespace } = lab.backends[2]!;
    const vip = ['dev', 'lo', 'noprefixroute'];
    await lab.exec(namespace, ['ip', 'addr', 'del', `${VIP4}/32`, 'dev', 'lo']);
    const status = await eventually(
      lab,
      'down for one VIP',
      (each) => backendsOf(each).get('v4-over-v6/web-3')!.health !== 'up',
    );
    assert.equal(backendsOf(status).get('v6-over-v4/web-3')!.health, 'up');
    await lab.exec(namespace, ['ip', 'addr', 'add', `${VIP4}/32`, ...vip]);
    await lab.startAgent(1);
    const up = await eventually(lab, 'up', (each) => slotsOf(each).join() === whole.join());
    assert.ok(allAre('up', 'web-2')(up));
  });

  test('are sent to all the same when all are down', { timeout: TIMEOUT_MS }, async () => {
    // Nothing listens any more: a connection is refused by a backend, not dropped by the forwarder.
    await Promise.all(['web-1', 'web-2', 'web-3'].map((_, index) => stopServer(lab, index)));
    const status = await eventually(lab, 'all down', ({ pools }) =>
      pools.every(({ mode }) => mode === 'all_down'),
    );
    assert.deepEqual(slotsOf(status), whole);
    const requests = getRequests(VIP4, 80, { count: 5, firstSourcePort: 23_000 });
    const answers = await lab.request({ requests, concurrency: 5, timeoutMs: 5_000 });
    for (const { error } of answers) assert.match(String(error), /refused|reset/i);
  });
});

/** Whoever it is by now: the server may have been started again. */
async function stopServer(lab: Lab, index: number): Promise<void> {
  await lab.exec(lab.backends[index]!.namespace, [
    'sh',
    '-c',
    `kill $(cat ${lab.resources.directory}/web-${index + 1}/nginx.pid)`,
  ]);
}

describe('backends that are checked by HTTP', { skip }, () => {
  let lab: Lab;
  let forwarder: LabProcess;

  before(
    async () => {
      const health = { kind: 'http', status: 200, body: 'web-', ...TIMING };
      lab = await createLab({ forwarders: 1, backends: 2, pool: { health } });
      forwarder = (await lab.startAll()).forwarders[0]!;
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  test('lose their slots when the server stops and get them back when it starts, and the log says why', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const whole = slotsOf(await statusOf(lab));
    assert.deepEqual(await answerers(lab, 20_000), ['web-1', 'web-2']);
    await lab.servers[1]!.stop();
    await eventually(lab, 'down', allAre('down', 'web-2'));
    assert.deepEqual(await answerers(lab, 21_000), ['web-1']);
    const { host4 } = lab.backends[1]!;
    assert.ok(
      linesOf(forwarder, 'health').includes(
        `v4-over-v4/web-2 is down: connection refused (${host4}:80), 2 in a row`,
      ),
    );
    await lab.startServer(1);
    const up = await eventually(lab, 'up', allAre('up', 'web-2'));
    assert.deepEqual(slotsOf(up), whole);
    assert.deepEqual(await answerers(lab, 22_000), ['web-1', 'web-2']);
  });
});

const APPLICATION_PORT = 9612;

/** An application beside nginx that answers every request with the status that a file has. */
async function startApplication(lab: Lab, index: number): Promise<(status: number) => void> {
  const { name, namespace } = lab.backends[index]!;
  const file = join(lab.resources.directory, `${name}-status`);
  const answer = (status: number) => writeFileSync(file, String(status));
  answer(200);
  const program = `
    const { readFileSync } = require('node:fs');
    const server = require('node:http').createServer((_, response) => {
      response.statusCode = Number(readFileSync(${JSON.stringify(file)}, 'utf8')) || 500;
      response.end();
    });
    server.listen(${APPLICATION_PORT}, () => console.log('{"event":"listening"}'));`;
  const argv = [process.execPath, '-e', program];
  const application = await lab.resources.startProcess(`application ${name}`, namespace, argv);
  await application.waitForEvent('listening', TIMEOUT_MS);
  return answer;
}

describe('backends that are checked through the tunnel and by HTTP', { skip }, () => {
  let lab: Lab;
  let forwarder: LabProcess;
  let answer: (status: number) => void;

  before(
    async () => {
      const health = [
        { kind: 'tunnel', ...TIMING },
        { kind: 'http', port: APPLICATION_PORT, path: '/anyhop-l7', ...TIMING },
      ];
      lab = await createLab({ forwarders: 1, backends: 2, pool: { health } });
      [, answer] = await Promise.all([startApplication(lab, 0), startApplication(lab, 1)]);
      forwarder = (await lab.startAll()).forwarders[0]!;
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  test('are down while the application answers 503, although the tunnel check passes, and up when it answers 200', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const whole = slotsOf(await eventually(lab, 'up', allAre('up', 'web')));
    answer(503);
    const down = await eventually(lab, 'down', allAre('down', 'web-2'));
    const { healthReason, check, slots } = backendsOf(down).get('v4-over-v4/web-2')!;
    assert.deepEqual(
      [healthReason, check, slots],
      [`http ${APPLICATION_PORT}: HTTP status 503; expected 200-399`, `tunnel, http ${APPLICATION_PORT}`, 0],
    );
    // nginx is well: whoever sends it connections by the tunnel alone would still do so.
    assert.deepEqual(await answerers(lab, 20_000), ['web-1']);
    answer(200);
    const up = await eventually(lab, 'up', allAre('up', 'web-2'));
    assert.deepEqual(slotsOf(up), whole);
    assert.deepEqual(await answerers(lab, 21_000), ['web-1', 'web-2']);
    assert.deepEqual(
      linesOf(forwarder, 'health').filter((line) => line.startsWith('v6-over-v6/web-2 ')),
      [
        'v6-over-v6/web-2 is up: all checks are good',
        `v6-over-v6/web-2 is down: http ${APPLICATION_PORT}: HTTP status 503; expected 200-399, 2 in a row`,
        'v6-over-v6/web-2 is up: all checks are good',
      ],
    );
  });

  test('are down for the tunnel when both fail, because it comes first in the file', {
    timeout: TIMEOUT_MS,
  }, async () => {
    answer(503);
    await stopServer(lab, 1);
    const reason = `${VIP4}:80 refuses connections`;
    await eventually(
      lab,
      'down for the tunnel',
      (status) => backendsOf(status).get('v4-over-v4/web-2')!.healthReason === `tunnel: ${reason}`,
    );
  });
});
