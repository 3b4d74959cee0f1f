/** `show stat` and `show info` as typed rows, from HAProxy's own text and from odd text. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readCsv } from '#anyhop/l7/haproxy/csv.js';
import { readInfo, readStats } from '#anyhop/l7/haproxy/stats.js';

describe('CSV', () => {
  const field = fc.oneof(fc.string(), fc.constantFrom('', 'a,b', '"', 'x "y"', 'two\nlines'));
  const table = fc.array(fc.array(field, { minLength: 2, maxLength: 5 }), { maxLength: 6 });

  it('is read back as it was written', () => {
    const written = (text: string): string =>
      /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    fc.assert(
      fc.property(table, (rows) => {
        assert.deepEqual(readCsv(rows.map((row) => `${row.map(written).join(',')}\n`).join('')), rows);
      }),
    );
  });

  it('ends, whatever comes', () => {
    const odd = fc.array(fc.constantFrom('"', '""', ',', '\n', 'a', '\r', ' '), { maxLength: 30 });
    fc.assert(
      fc.property(odd, (parts) => {
        for (const row of readCsv(parts.join(''))) assert.ok(row.length > 0);
      }),
    );
  });
});

describe('statistics of HAProxy', () => {
  const text = `# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,wretr,wredis,status,weight,act,lastchg,downtime,type,rate,check_status,check_code,check_duration,hrsp_2xx,hrsp_5xx,last_chk,qtime,rtime,rtime_max,addr,new_column,
f_web,FRONTEND,,,3,9,2000,120,1000,90000,,,OPEN,,,,,0,7,,,,118,2,,,,,,1,
u_shop,shop-1,0,2,1,4,200,60,500,45000,1,0,UP,2,1,35,0,2,3,L7OK,200,4,59,1,"HTTP status, ""fine""",0,12,340,10.2.0.11:8080,,
u_shop,BACKEND,0,2,1,4,200,120,1000,90000,1,0,UP,3,2,35,0,1,7,,,,118,2,,0,12,340,,,
f_web,sock-1,,,0,0,2000,0,0,0,,,OPEN,,,,,3,0,,,,,,,,,,,,

`;

  it('are rows of frontends, backends and servers, with the fields that a status shows', () => {
    const { frontends, backends, servers } = readStats(text);
    assert.deepEqual(
      frontends.map(({ frontend }) => frontend),
      ['f_web'],
    );
    assert.deepEqual(frontends[0]!.sessions, { current: 3, max: 9, limit: 2000, total: 120, perSecond: 7 });
    assert.equal(frontends[0]!.responses['2xx'], 118);
    assert.equal(frontends[0]!.responses['4xx'], undefined);
    assert.deepEqual([backends.length, backends[0]!.activeServers, backends[0]!.retries], [1, 2, 1]);
    const [server] = servers;
    assert.equal(`${server!.backend}/${server!.server} ${server!.address}`, 'u_shop/shop-1 10.2.0.11:8080');
    assert.equal(server!.check.last, 'HTTP status, "fine"');
    assert.deepEqual([server!.check.code, server!.check.durationMs], [200, 4]);
    assert.deepEqual([server!.average.responseMs, server!.largest.responseMs], [12, 340]);
    assert.deepEqual([server!.weight, server!.changedS, server!.queue.max], [2, 35, 2]);
  });

  it('are refused when they are no statistics, with what came instead', () => {
    for (const odd of ['', '\n', 'Unknown command \x1b[2J', 'a,b\n1,2\n'])
      assert.throws(() => readStats(odd), { code: 'ERR_HAPROXY', message: /not understood/ });
    assert.throws(() => readStats('\x1b[2J'), { message: /\\u001b/ });
    assert.throws(() => readInfo('Name: HAProxy\n'), { code: 'ERR_HAPROXY' });
  });

  it('are numbers or nothing, and printable texts of bounded length, whatever the fields hold', () => {
    const names = text.slice(2, text.indexOf('\n')).split(',').filter(Boolean);
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('0', '1', '2', '-1', '1e9', 'NaN', 'x'.repeat(5000)),
    );
    fc.assert(
      fc.property(fc.array(fc.array(value, { maxLength: names.length }), { maxLength: 5 }), (rows) => {
        const body = rows
          .map((row) => row.map((each) => `"${each.replaceAll('"', '""')}"`).join(','))
          .join('\n');
        const seen = JSON.stringify(readStats(`# ${names.join(',')}\n${body}\n`), (_, each) => {
          if (typeof each === 'number') assert.ok(Number.isSafeInteger(each) && each >= 0);
          if (typeof each === 'string') assert.ok(!/[\p{Cc}\p{Cf}]/u.test(each) && each.length <= 6 * 200);
          return each;
        });
        assert.ok(seen.length > 0);
      }),
    );
  });

  it('say what the process itself does', () => {
    const info = `Name: HAProxy\nVersion: 2.6.12-1+deb12u3\nPid: 4006\nUptime: 0d 0h00m13s\nUptime_sec: 13\nMaxconn: 1000
CurrConns: 7\nCumConns: 100\nCumReq: 300\nCurrSslConns: 6\nIdle_pct: 98\nStopping: 1\nDroppedLogs: 0\nnode: a: b\n`;
    assert.deepEqual(readInfo(info), {
      version: '2.6.12-1+deb12u3',
      pid: 4006,
      uptimeS: 13,
      connections: 7,
      connectionsMax: 1000,
      connectionsTotal: 100,
      requestsTotal: 300,
      sslConnections: 6,
      idlePercent: 98,
      isStopping: true,
      droppedLogs: 0,
    });
  });
});
