/** What `anyhop l7 status` draws: what is wrong stands out, and tables stay readable however much there is. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { drawL7Status } from '#anyhop/cli/l7-status-text.js';
import type { L7Status, Requests, ServerStatus, UpstreamStatus } from '#anyhop/l7/status.js';

const NOW = new Date('2027-01-01T12:09:30Z');
before(() => {
  process.env['TZ'] = 'UTC';
});

const NO_TRAFFIC: Requests = { sessions: 0, sessionRate: 0, bytesIn: 0, bytesOut: 0, responses: {} };

const server = (name: string, more: Partial<ServerStatus> = {}): ServerStatus => ({
  name,
  address: '10.2.0.1:8080',
  weight: 1,
  state: 'active',
  health: 'up',
  forSeconds: 5,
  queued: 0,
  retries: 0,
  redispatches: 0,
  times: {},
  ...NO_TRAFFIC,
  ...more,
});

const upstream = (servers: readonly ServerStatus[], more: Partial<UpstreamStatus> = {}): UpstreamStatus => ({
  name: 'shop',
  usable: servers.length,
  active: servers.length,
  serves: true,
  panic: false,
  queued: 0,
  servers,
  ...NO_TRAFFIC,
  ...more,
});

const status = (more: Partial<L7Status> = {}): L7Status => ({
  version: '0.1.0',
  startedAt: '2027-01-01T12:00:00Z',
  configFile: '/etc/anyhop/anyhop.yaml',
  stage: 'serving',
  haproxy: { state: 'up', oldWorkers: 0, restarts: 0, reloads: 0, failedReloads: 0, failedTransfers: 0 },
  drainDeadlineMs: 300_000,
  health: { ok: true },
  frontends: [],
  upstreams: [],
  certificates: [],
  ...more,
});

const lines = (more: Partial<L7Status>): string[] => drawL7Status(status(more), NOW).split('\n');

describe('the status of a proxy host', () => {
  it('says nothing of restarts, old workers and reloads when there were none', () => {
    assert.deepEqual(lines({}), [
      'proxy host  anyhop 0.1.0, since 12:00:00, config /etc/anyhop/anyhop.yaml',
      'stage       serving',
      'haproxy     up, 0 reloads',
      'health      ok',
      '',
    ]);
  });

  it('has in capitals what is wrong with HAProxy', () => {
    const drawn = lines({
      haproxy: {
        state: 'restarting',
        why: 'worker (12) exited with code 139',
        oldWorkers: 2,
        restarts: 3,
        reloads: 1,
        failedReloads: 4,
        failedTransfers: 5,
        droppedLogs: 6,
      },
      health: { ok: false, why: 'HAProxy does not answer' },
    });
    assert.ok(
      drawn.includes(
        'haproxy     RESTARTING (worker (12) exited with code 139), 1 reload, 4 refused, 3 RESTARTS, 2 old workers, 5 FAILED TRANSFERS of sockets, 6 LOG LINES DROPPED',
      ),
      drawn.join('\n'),
    );
    assert.ok(drawn.includes('health      NOT OK: HAProxy does not answer'));
  });

  it('shows the first problem of a refused config, and how many more there are', () => {
    const problems = ['a.yaml:3:5: l7.user: x', 'a.yaml:9:1: y', 'a.yaml:9:2: z'];
    const at = '2027-01-01T12:08:00Z';
    assert.ok(
      lines({ lastReload: { at, outcome: 'refused', problems } }).includes(
        'LAST RELOAD  12:08:00, REFUSED: a.yaml:3:5: l7.user: x (and 2 problems more: "anyhop l7 check" has all)',
      ),
    );
    assert.ok(
      lines({
        lastReload: { at, outcome: 'in force', applied: 'nothing to change', problems: [] },
      }).includes('last reload  12:08:00, nothing has changed'),
    );
  });

  it('shows who asks for a drain, and which forwarders have followed', () => {
    const drain = {
      since: '2027-01-01T12:08:00Z',
      deadline: '2027-01-01T12:13:00Z',
      askedBy: 'host',
    } as const;
    const forwarders = [true, false].map((draining, i) => ({ address: `10.0.0.${i}`, draining }));
    const text = 'drain       asked by this host, since 12:08:00';
    const stage = 'following';
    assert.ok(
      lines({ stage, drain }).includes(
        `${text}, until 12:13:00 at most: the agent of this host does not answer`,
      ),
    );
    assert.ok(
      lines({ stage, drain: { ...drain, forwarders } }).includes(
        `${text}, until 12:13:00 at most: 1 of 2 forwarders drain it`,
      ),
    );
    const silent = [{ address: '10.0.0.9', draining: false, silent: true as const }];
    assert.ok(
      lines({ stage, drain: { ...drain, forwarders: silent } }).includes(
        `${text}, until 12:13:00 at most: 0 of 1 forwarders drain it (not heard any more: 10.0.0.9)`,
      ),
    );
    assert.ok(
      lines({ stage: 'drained', drain: { ...drain, forwarders, cutOff: 2 } }).includes(
        `${text}: 1 of 2 forwarders drain it; 2 connections CUT OFF`,
      ),
    );
  });

  it('warns of certificates that expire, and names no others', () => {
    const of = (file: string, notAfter: string, expiry?: 'soon' | 'expired') => ({
      frontend: 'web',
      file,
      notAfter,
      ...(expiry && { expiry }),
    });
    const drawn = lines({
      certificates: [
        of('/certs/a.pem', '2027-01-05T00:00:00Z', 'soon'),
        of('/certs/b.pem', '2026-12-05T00:00:00Z', 'expired'),
        of('/certs/c.pem', '2028-01-05T00:00:00Z'),
      ],
    });
    assert.ok(drawn.includes('CERTIFICATE  /certs/a.pem of web expires on 2027-01-05'), drawn.join('\n'));
    assert.ok(drawn.includes('CERTIFICATE  /certs/b.pem of web HAS EXPIRED on 2026-12-05'));
    assert.doesNotMatch(drawn.join('\n'), /c\.pem/);
  });

  it('shows why a server is down, a slow start, and panic', () => {
    const drawn = lines({
      upstreams: [
        upstream(
          [
            server('s1', { health: 'down', forSeconds: 7322, why: 'L4CON Connection refused' }),
            server('s2', { throttlePercent: 40, retries: 3, redispatches: 2 }),
            server('s3', { state: 'draining', times: { total: 12, maxTotal: 61_200 } }),
          ],
          { usable: 1, panic: true, queued: 3 },
        ),
      ],
    });
    assert.deepEqual(drawn.slice(5), [
      'upstream shop: 1 of 3 active servers usable, PANIC: all get requests, 3 QUEUED',
      'SERVER  ADDRESS        WEIGHT  STATE           FOR  SESSIONS  RATE  2XX  4XX  5XX  RETRIES  AVG MS  MAX MS  WHY',
      's1      10.2.0.1:8080       1  DOWN             2h         0   0/s    0    0    0        0       -       -  L4CON Connection refused',
      's2      10.2.0.1:8080       1  slow start 40%   5s         0   0/s    0    0    0        3       -       -',
      's3      10.2.0.1:8080       1  draining, up     5s         0   0/s    0    0    0        0      12   61.2k',
      '',
    ]);
  });

  it('keeps the columns of a hundred servers aligned, and shows a part of thousands of routes', () => {
    const servers = Array.from({ length: 100 }, (_, i) =>
      server(`s${i}`, {
        responses: { '2xx': 10 ** (i % 9) },
        sessions: i,
        health: i % 7 === 0 ? 'down' : 'up',
      }),
    );
    const routes = Array.from({ length: 3000 }, (_, i) => ({ match: `h${i}.example.com/`, to: 'shop' }));
    const drawn = lines({
      frontends: [{ name: 'web', addresses: ['203.0.113.10:443'], routes, ...NO_TRAFFIC }],
      upstreams: [upstream(servers)],
    });
    const head = drawn.find((line) => line.startsWith('SERVER'))!;
    const rows = drawn.filter((line) => /^s\d+ /.test(line));
    assert.equal(rows.length, 100);
    for (const row of rows) {
      assert.ok(row.length <= 120, row);
      assert.match(row.slice(head.indexOf('STATE')), /^(?:up|DOWN) /);
    }
    assert.ok(drawn.includes('and 2950 routes more: --json has all'));
    assert.ok(drawn.length < 200);
  });

  it('lets nothing that HAProxy or a server says act on the terminal', () => {
    const why = 'L7STS 500 \u001b[2J\nupstream fake: 0';
    const drawn = lines({ upstreams: [upstream([server('s1', { health: 'down', why })])] });
    assert.ok(drawn.every((line) => !line.includes('\u001b') && !line.startsWith('upstream fake')));
  });
});
