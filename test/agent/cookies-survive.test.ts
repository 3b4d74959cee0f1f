/** SYN cookies of the fleet over the life of an agent: what it reports, while the host changes, and what it leaves. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { CookiesReport } from '#anyhop/agent/report.js';
import { cookieKeyFingerprint } from '#anyhop/hash/cookie-key.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Backend, INTERFACE, networkSkip } from './backend.js';
import { FAMILIES, PORT } from './client.js';
import { CookieClient, FORMER_KEY, KEY } from './cookie-client.js';

const READY_TIMEOUT_MS = 20_000;

describe('an agent that takes SYN cookies', { skip: networkSkip() }, () => {
  let backend: Backend;
  let sport = 43_000;
  before(async () => {
    backend = await Backend.make();
    configure();
    // Of somebody else, who does not notice any of this.
    await backend.exec('tc', 'qdisc', 'add', 'dev', INTERFACE, 'clsact');
    await backend.exec('sh', '-c', `tc filter add dev ${INTERFACE} ingress pref 7 bpf bytecode '1,6 0 0 0'`);
  });
  after(() => backend?.close());

  const configure = (): void =>
    backend.configureCookies((text) => text.replaceAll('port: 80,', `port: 80-${PORT},`));
  const start = async (): Promise<LabProcess> => {
    const agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    return agent;
  };
  const served = async (): Promise<void> => {
    for (const on of FAMILIES) {
      const client = new CookieClient(backend, on, sport++);
      client.ack();
      client.request();
      await client.echo();
    }
  };
  const reported = async (): Promise<CookiesReport> => {
    const { code, text } = await backend.agent('--status', '--json');
    assert.equal(code, 0, text);
    return JSON.parse(text).cookies;
  };
  const countsOf = (agent: LabProcess): Record<string, number> =>
    agent.events.findLast(({ event }) => event === 'counters')!['cookies'] as Record<string, number>;
  const attached = (): boolean => backend.pins().includes('ingress');

  test('reports its keys, and what is in the way for as long as it is', async () => {
    const agent = await start();
    const taken = { ok: true, keys: [KEY, FORMER_KEY].map(cookieKeyFingerprint) };
    const says = (why: RegExp): Promise<void> =>
      until(() =>
        why.test(String(agent.events.findLast(({ event }) => event === 'cookies_not_taken')?.['msg'])),
      );
    assert.deepEqual(await reported(), taken);
    const mptcp = `s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.bind(('0.0.0.0', ${PORT})); s.listen()`;
    const tap = 's = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))';
    const hold = (socket: string): Promise<LabProcess> =>
      backend.startPython(`import socket, time; ${socket}; time.sleep(60)`);
    // One beside the other; what is looked at first is told.
    const others = [await hold(mptcp)];
    await says(/MPTCP listens for service web,/);
    others.push(await hold(tap));
    await says(/packet socket for IPv4/);
    await backend.sysctl('net.ipv4.tcp_timestamps=0');
    await says(/tcp_timestamps is 0/);
    assert.deepEqual(await reported(), { ok: false, why: 'net.ipv4.tcp_timestamps is 0' });
    for (const other of others) other.kill();
    await backend.sysctl('net.ipv4.tcp_timestamps=1');
    await until(() => agent.events.filter(({ event }) => event === 'cookies_taken').length === 2);
    assert.deepEqual(await reported(), taken);

    // What the agent has not seen yet, the kernel refuses; and the agent takes none for a while.
    await backend.sysctl('net.ipv4.tcp_sack=0');
    const client = new CookieClient(backend, FAMILIES[0], sport++);
    client.ack();
    await client.answer('reset', ({ flags }) => flags.includes('rst'));
    await backend.sysctl('net.ipv4.tcp_sack=1');
    await says(/has refused a cookie within the last 5m/);
    assert.equal((await agent.stop('SIGTERM')).code, 0);
    assert.equal(countsOf(agent)['refused_kernel'], 1);
  });

  test('goes on without an agent, by the next one, and over a kill, until --stop', async () => {
    assert.ok(attached());
    await served(); // by what the one before left
    const agent = await start();
    await served();
    agent.kill();
    await agent.exited;
    await served();
    const next = await start();
    backend.detachLink('ingress');
    await next.waitForEvent('attached_again', READY_TIMEOUT_MS);
    await served();
    assert.equal((await next.stop('SIGTERM')).code, 0);
    assert.equal(countsOf(next)['accepted'], 4 * FAMILIES.length, 'counted across agents');
    assert.ok(attached());
    assert.equal((await backend.agent('--stop')).code, 0);
    assert.deepEqual(backend.pins(), []);
  });

  test('takes none any more when its config has no key, and leaves the ingress to others', async () => {
    const agent = await start();
    backend.configure();
    process.kill(agent.pid, 'SIGHUP');
    await agent.waitForEvent('reloaded', READY_TIMEOUT_MS);
    assert.ok(!attached());
    assert.deepEqual(await reported(), { ok: false, why: 'its config has no defend.syn_cookies' });
    const client = new CookieClient(backend, FAMILIES[0], sport++);
    client.ack();
    await client.answer('reset', ({ flags }) => flags.includes('rst'));
    configure();
    process.kill(agent.pid, 'SIGHUP');
    await until(attached);
    await until(() => agent.events.filter(({ event }) => event === 'reloaded').length === 2);
    await served();
    assert.equal((await agent.stop('SIGINT')).code, 0);
    assert.deepEqual(backend.pins(), []);
    assert.match(await backend.exec('tc', 'filter', 'show', 'dev', INTERFACE, 'ingress'), /pref 7 bpf/);
  });
});

async function until(met: () => boolean): Promise<void> {
  for (const end = Date.now() + READY_TIMEOUT_MS; !met(); ) {
    assert.ok(Date.now() < end, `not within ${READY_TIMEOUT_MS} ms: ${met}`);
    await delay(20);
  }
}
