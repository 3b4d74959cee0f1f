/** Session tickets over the hours: sessions resume on every proxy host, at each turn of the hour, and whatever its clock does. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { parseConfig } from '#anyhop/config/load.js';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { ticketKeys } from '#anyhop/l7/render/keys.js';
import { Tier } from '#anyhop/l7/tier.js';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { keptLog, ownAddress, temporaryRun, withoutHaproxy } from './haproxy-fixture.js';
import { L7_KEY, onLoopback } from './render-fixture.js';
import { eventually } from './run-fixture.js';

const HOUR_MS = 3_600_000;
const PORT = 443;
const SHIFT = 20_000;
const NAME = 'shop.example.com';
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof VERSIONS)[number];

/** A tier on the loopback interface with a clock of its own. */
class Host {
  readonly #place = temporaryRun();
  readonly address = ownAddress();
  readonly kept = keptLog();
  nowMs = 0;
  tier!: Tier;

  async start(certificates: string, key = L7_KEY): Promise<void> {
    const text = {
      agent: { forwarders: ['10.0.0.1'] },
      pools: { proxies: { backends: [{ name: 'proxy-1', address: '10.1.0.11' }] } },
      services: [{ name: 'https', vip: '203.0.113.10', port: PORT, protocol: 'tcp', pool: 'proxies' }],
      l7: {
        key,
        run_dir: this.#place.run,
        max_connections: 200,
        access_log: 'off',
        frontends: { web: { services: ['https'], certificates, routes: [{ to: 'shop' }] } },
        upstreams: {
          shop: { health: { kind: 'none' }, servers: [{ name: 's', address: '10.2.0.1', port: 80 }] },
        },
      },
    };
    const loaded = parseConfig(JSON.stringify(text), '/etc/anyhop.yaml', { role: 'l7', env: {} });
    const moved = onLoopback(loaded.l7, { address: this.address, portShift: SHIFT, servers: [] });
    const config: LoadedConfig<'l7'> = { ...loaded, l7: moved };
    const now = (): Date => new Date(this.nowMs);
    this.tier = await Tier.start({ load: () => config, config, log: this.kept.log, now });
  }

  /** The keys that HAProxy has are those of this hour. */
  async checkKeys(): Promise<void> {
    const shown = await this.tier.haproxy!.command('show tls-keys #0');
    const keys = [...shown.matchAll(/^0\.\d+ (\S+)$/gm)].map(([, secret]) => secret);
    assert.deepEqual(keys, ticketKeys(Buffer.from(L7_KEY, 'hex'), 'web', new Date(this.nowMs)));
  }

  async close(): Promise<void> {
    await this.tier?.killHaproxy();
    await this.tier?.close();
    this.#place.remove();
  }

  /** Undefined while HAProxy is down. */
  get worker(): number | undefined {
    const state = this.tier.haproxy?.state;
    return state?.state === 'up' ? state.worker.pid : undefined;
  }
}

describe('a TLS session', { skip: withoutHaproxy, timeout: 120_000 }, () => {
  const hosts = [new Host(), new Host()];
  const [one, two] = hosts as [Host, Host];
  const place = temporaryRun();
  let authority: Authority;
  before(async () => {
    const directory = dirname(place.run);
    authority = await createAuthority(directory);
    const certificates = join(directory, 'certificates');
    mkdirSync(certificates);
    await authority.serverCertificate(join(certificates, 'web.pem'), [NAME]);
    await setClocks(Date.UTC(2027, 0, 1, 10, 59, 59));
    await Promise.all(hosts.map((host) => host.start(certificates)));
  });
  after(async () => {
    await Promise.all(hosts.map((host) => host.close()));
    place.remove();
  });

  async function setClocks(ms: number, which: readonly Host[] = hosts): Promise<void> {
    for (const host of which) {
      host.nowMs = ms;
      if (host.tier === undefined) continue;
      await host.tier.takeHour();
      await host.checkKeys();
    }
  }

  /** A handshake, and the session that comes of it. */
  function shake(
    host: Host,
    version: Version,
    session?: Buffer,
  ): Promise<{ readonly reused: boolean; readonly session: Buffer }> {
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = connect({
        host: host.address,
        port: PORT + SHIFT,
        servername: NAME,
        ca: readFileSync(authority.file),
        minVersion: version,
        maxVersion: version,
        ...(session && { session }),
      });
      socket.setTimeout(10_000, () => socket.destroy(new Error('no session')));
      socket.on('error', reject);
      const done = (ticket: Buffer): void => {
        const reused = socket.isSessionReused();
        socket.destroy();
        resolve({ reused, session: ticket });
      };
      // In TLS 1.3, tickets come after the handshake, and none where a session was resumed.
      if (version === 'TLSv1.3' && session === undefined) socket.once('session', done);
      else socket.on('secureConnect', () => done(socket.getSession()!));
      socket.resume();
    });
  }

  const make = async (host: Host): Promise<Map<Version, Buffer>> =>
    new Map(
      await Promise.all(
        VERSIONS.map(async (version) => [version, (await shake(host, version)).session] as const),
      ),
    );
  async function resumes(sessions: ReadonlyMap<Version, Buffer>, host: Host): Promise<boolean[]> {
    const shaken = await Promise.all(
      [...sessions].map(([version, session]) => shake(host, version, session)),
    );
    return shaken.map(({ reused }) => reused);
  }
  const YES = [true, true];
  const NO = [false, false];

  it('resumes on another host, over the turn of the hour, and while only one of them has turned', async () => {
    const workers = hosts.map(({ worker }) => worker);
    const before = await make(one);
    assert.deepEqual(await resumes(before, two), YES);
    await setClocks(one.nowMs + 2_000, [one]);
    assert.deepEqual(await resumes(before, one), YES, 'the key of the last hour');
    const ahead = await make(one);
    assert.deepEqual(await resumes(ahead, two), YES, 'of a host whose clock is ahead');
    await setClocks(one.nowMs, [two]);
    assert.deepEqual([await resumes(before, two), await resumes(ahead, two)], [YES, YES]);
    await setClocks(one.nowMs + HOUR_MS);
    assert.deepEqual(await resumes(before, one), NO, 'two hours later');
    assert.deepEqual(await resumes(ahead, two), YES);
    assert.deepEqual(
      hosts.map(({ worker }) => worker),
      workers,
      'without a reload',
    );
  });

  for (const [what, hours] of [
    ['two hours', 2],
    ['three hours', 3],
    ['fifty hours', 50],
    ['one hour back', -1],
    ['many hours back', -30],
  ] as const)
    it(`resumes elsewhere when a clock was set by ${what}, and right keys follow`, async () => {
      const to = one.nowMs + hours * HOUR_MS;
      await setClocks(to);
      const sessions = await make(one);
      assert.deepEqual(await resumes(sessions, two), YES);
      await setClocks(to + HOUR_MS, [two]);
      assert.deepEqual(await resumes(sessions, two), YES, 'its key is that of the last hour');
      assert.deepEqual(await resumes(await make(two), one), YES, 'the key of the next hour is there already');
      await setClocks(to + HOUR_MS);
    });

  it('resumes after HAProxy was killed, by keys that were rotated at runtime', async () => {
    await setClocks(one.nowMs + HOUR_MS);
    const sessions = await make(one);
    const former = one.worker!;
    process.kill(former, 'SIGKILL');
    await eventually('another worker', () => one.worker !== undefined && one.worker !== former);
    await one.checkKeys();
    assert.deepEqual(await resumes(sessions, one), YES);
    assert.deepEqual(await resumes(await make(one), two), YES);
  });

  it('was never a reason for a reload', () => {
    for (const { kept } of hosts)
      assert.deepEqual(
        kept.lines.filter(({ event }) =>
          ['haproxy_reloaded', 'l7_command_refused', 'l7_task_failed'].includes(event),
        ),
        [],
      );
  });
});
