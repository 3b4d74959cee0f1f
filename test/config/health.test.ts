/** Health checks in the config: what comes out, where the port comes from, and every rule with the place of its error. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { loadConfig } from '#anyhop/config/load.js';
import { parseStatusCodes } from '#anyhop/config/status-codes.js';
import type { HealthConfig } from '#anyhop/config/types.js';
import { formatDuration, parseDuration } from '#anyhop/core/time.js';
import { join, parse, placeOf, problemsOf, unmark } from './fixture.js';

const FULL = fileURLToPath(new URL('../../../test/config/full.yaml', import.meta.url));
const WEB = '{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}';

/** @param health a list, or the inside of web's mapping */
function config(health: string, ...services: string[]): string {
  const pools = `pools:\n  web:\n    health: ${health.startsWith('[') || health.startsWith('^[') ? health : `{${health}}`}\n    backends: [{name: web-1, address: 10.1.0.11}]\n`;
  return join({ pools, services: `services:\n${services.map((line) => `  - ${line}\n`).join('')}` });
}

/** The one check, if there is any. */
function healthOf(health: string, ...services: string[]): HealthConfig | undefined {
  const checks = parse(config(health, ...(services.length > 0 ? services : [WEB]))).pools[0].health;
  assert.ok(checks.length <= 1);
  return checks[0];
}

describe('a time', () => {
  it('is a whole number and a unit', () => {
    assert.deepEqual(
      ['0ms', '250ms', '2s', '5m', '1h', '2d', '1y'].map(parseDuration),
      [0, 250, 2000, 300_000, 3_600_000, 172_800_000, 31_536_000_000],
    );
    for (const text of [
      '',
      '2',
      's',
      '1.5s',
      '2 s',
      '2S',
      '-2s',
      '1h30m',
      '2w',
      '1e3ms',
      '1234567890ms',
      '999999999y',
    ])
      assert.equal(parseDuration(text), undefined, text);
  });

  it('is written in the shortest way that reads the same', () => {
    assert.deepEqual([0, 1500, 2000, 90_000, 300_000, 7_200_000].map(formatDuration), [
      '0ms',
      '1500ms',
      '2s',
      '90s',
      '5m',
      '2h',
    ]);
    fc.assert(fc.property(fc.nat(999_999_999), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('a status, or a range of statuses', () => {
  it('lies within 100 to 599 and runs forward', () => {
    assert.deepEqual(parseStatusCodes(204), { first: 204, last: 204 });
    assert.deepEqual(parseStatusCodes('200-399'), { first: 200, last: 399 });
    for (const value of [99, 600, '20', '399-200', '2xx', '200-', '0200'])
      assert.equal(parseStatusCodes(value), undefined, String(value));
  });
});

describe('a health check', () => {
  it('is none when the config does not say, and none for the kind none whatever else is said', () => {
    assert.deepEqual(parse(join({})).pools[0].health, []);
    assert.equal(parse(join({})).pools[0].deadAfterMs, 300_000);
    assert.equal(healthOf('kind: none, path: /x, payload: x, interval: 1s, timeout: 5s'), undefined);
  });

  it('has defaults, and the port of its services', () => {
    assert.deepEqual(healthOf('kind: tcp'), {
      kind: 'tcp',
      port: 80,
      intervalMs: 2000,
      timeoutMs: 1000,
      rise: 2,
      fall: 3,
      jitter: 0.1,
    });
  });

  it('comes out as the full example has it', () => {
    const { pools } = loadConfig(FULL, { role: 'run', env: {} });
    const [
      {
        health: [web, path],
        deadAfterMs,
      },
      {
        health: [dns],
      },
    ] = pools;
    assert.ok(web?.kind === 'https' && dns?.kind === 'udp');
    const { tls, ...rest } = web;
    assert.deepEqual(rest, {
      kind: 'https',
      port: 443,
      intervalMs: 2000,
      timeoutMs: 1000,
      rise: 2,
      fall: 3,
      jitter: 0.1,
      path: '/healthz',
      host: 'www.example.com',
      status: { first: 200, last: 299 },
      body: 'ok',
    });
    assert.deepEqual([tls?.verify, tls?.serverName], [true, 'www.example.com']);
    assert.match(tls?.ca ?? '', /^-----BEGIN CERTIFICATE-----/);
    assert.ok(path?.kind === 'tunnel');
    assert.deepEqual([path.endpoints.length, path.intervalMs, path.fall, path.rise], [2, 500, 5, 2]);
    assert.equal(deadAfterMs, 300_000);
    assert.equal(dns.port, 53);
    assert.deepEqual([...Buffer.from(dns.answer!, 'latin1')], [0x12, 0x34, 0x81]);
    assert.equal(dns.payload.length, 17);
  });

  it('asks for the name in host, unless that is an address', () => {
    const nameOf = (host: string) => {
      const health = healthOf(`kind: https, host: "${host}"`);
      return health?.kind === 'https' ? health.tls?.serverName : 'no https';
    };
    assert.equal(nameOf('www.example.com:8443'), 'www.example.com');
    for (const host of ['10.0.0.1', '10.0.0.1:443', '[fd00::1]:443', 'fd00::1'])
      assert.equal(nameOf(host), undefined);
  });

  it('through the tunnel tries every VIP of the pool that has the port, and each once', () => {
    const endpoints = (health: string, ...services: string[]) => {
      const check = healthOf(health, ...services);
      return check?.kind === 'tunnel'
        ? check.endpoints.map(({ vip, port }) => `${vip.text} ${port}`)
        : undefined;
    };
    const services = [
      WEB,
      '{name: web6, vip: "2001:db8::10", protocol: tcp, port: 443, pool: web}',
      '{name: quic, vip: 203.0.113.10, protocol: udp, port: 443, pool: web}',
      '{name: more, vip: 203.0.113.11, protocol: tcp, port: 400-499, pool: web}',
    ];
    assert.deepEqual(endpoints('kind: tunnel', ...services.slice(0, 3)), [
      '203.0.113.10 80',
      '2001:db8::10 443',
    ]);
    assert.deepEqual(endpoints('kind: tunnel, port: 443', ...services), [
      '2001:db8::10 443',
      '203.0.113.11 443',
    ]);
  });

  it('may lack a port where the file has no services to serve', () => {
    const pools = 'pools: {web: {health: {kind: tcp}, backends: [{name: a, address: 10.1.0.1}]}}\n';
    assert.deepEqual(parse(pools, 'pools').pools[0].health, []);
  });
});

const listOf = (health: string, ...services: string[]) =>
  parse(config(health, ...(services.length > 0 ? services : [WEB]))).pools[0].health;

describe('a list of health checks', () => {
  it('comes out in the order of the file, each check with its own port, times, rise and fall', () => {
    const checks = listOf(
      '[{kind: http, port: 9612, path: /anyhop-l7, interval: 500ms, timeout: 100ms}, {kind: tunnel, rise: 1, fall: 9}]',
    );
    assert.deepEqual(
      checks.map(({ kind, intervalMs, timeoutMs, rise, fall }) => [kind, intervalMs, timeoutMs, rise, fall]),
      [
        ['http', 500, 100, 2, 3],
        ['tunnel', 2000, 1000, 1, 9],
      ],
    );
    assert.ok(checks[0].kind === 'http' && checks[0].port === 9612);
  });

  it('with one entry is the same as a mapping, also with none', () => {
    assert.deepEqual(listOf('[{kind: tcp, fall: 1}]'), listOf('kind: tcp, fall: 1'));
    assert.deepEqual(listOf('[{kind: none}]'), []);
  });

  it('has a file of certificates for each entry', () => {
    const file = fileURLToPath(new URL('../../../test/config/full-ca.pem', import.meta.url));
    const checks = listOf(`[{kind: https, port: 1}, {kind: https, port: 2, tls: {ca_file: ${file}}}]`);
    assert.deepEqual(
      checks.map((check) => check.kind === 'https' && check.tls?.ca !== undefined),
      [false, true],
    );
  });

  it('may hold checks that differ in kind, port, path, host, server name or payload', () => {
    for (const [list, ...services] of [
      ['[{kind: tcp}, {kind: http}, {kind: https}, {kind: tunnel}]'],
      ['[{kind: tcp}, {kind: tcp, port: 81}]'],
      [
        '[{kind: http}, {kind: http, path: /ready}, {kind: http, host: a.example}, {kind: http, host: b.example}]',
      ],
      ['[{kind: https, tls: {server_name: a.example}}, {kind: https, tls: {server_name: b.example}}]'],
      ['[{kind: udp, payload: a}, {kind: udp, payload: b}]', UDP],
      ['[{kind: tunnel, port: 80}, {kind: tunnel, port: 443}]', WEB, OTHER],
    ])
      assert.equal(listOf(list, ...services).length, list.match(/kind/g)!.length, list);
  });
});

type Case = readonly [
  title: string,
  health: string,
  services: readonly string[],
  field: string,
  message: RegExp,
];
const RANGE = '{name: a, vip: 203.0.113.10, protocol: tcp, port: 80-90, pool: web}';
const OTHER = '{name: b, vip: 203.0.113.11, protocol: tcp, port: 443, pool: web}';
const UDP = '{name: c, vip: 203.0.113.10, protocol: udp, port: 53, pool: web}';

const CASES: readonly Case[] = [
  ['an unknown kind', 'kind: ^ping', [WEB], 'kind', /^found "ping"; expected tcp, http, .* or none$/],
  ['no kind', 'port: 80', [WEB], 'kind', /^missing/],
  ['an unknown field', 'kind: tcp, ^intervall: 2s', [WEB], 'intervall', /did you mean "interval"\?$/],
  [
    'a number for a time',
    'kind: tcp, interval: ^2',
    [WEB],
    'interval',
    /^found 2; expected a time with its unit/,
  ],
  ['a time that is too short', 'kind: tcp, interval: ^99ms', [WEB], 'interval', /100ms/],
  [
    'a timeout that outlasts the interval',
    'kind: tcp, timeout: ^1801ms',
    [WEB],
    'timeout',
    /^found 1801ms; expected 1800ms at most, the interval 2s minus its jitter/,
  ],
  [
    'a field of another kind',
    'kind: tcp, ^path: /x',
    [WEB],
    'path',
    /^found with kind tcp; expected only with http or https$/,
  ],
  ['tls without https', 'kind: http, ^tls: {verify: true}', [WEB], 'tls', /expected only with https$/],
  [
    'a status that is none',
    'kind: http, status: ^600',
    [WEB],
    'status',
    /^found 600; expected an HTTP status/,
  ],
  ['a path that is none', 'kind: http, path: ^healthz', [WEB], 'path', /expected a path/],
  ['a host with a space', 'kind: http, host: ^"a b"', [WEB], 'host', /expected a host name/],
  [
    'a payload of more than bytes',
    'kind: udp, payload: ^"\u20ac"',
    [UDP],
    'payload',
    /one byte per character/,
  ],
  ['a UDP check without a payload', 'kind: udp', [UDP], 'payload', /^missing; expected a datagram/],
  [
    'services of several ports',
    'kind: tcp',
    [WEB, OTHER],
    'port',
    /^missing, and the services of pool "web" have several ports/,
  ],
  [
    'a service of a range of ports',
    'kind: tcp',
    [RANGE],
    'port',
    /^missing, and the services of pool "web" have several/,
  ],
  [
    'a pool without a service',
    'kind: tcp',
    ['{name: x, vip: 203.0.113.1, protocol: tcp, port: 1, pool: ^dns}'],
    'port',
    /no service uses pool "web"/,
  ],
  [
    'a tunnel without a TCP service',
    'kind: ^tunnel',
    [UDP],
    'kind',
    /no service gives pool "web" a VIP and a TCP port/,
  ],
  [
    'a tunnel to a range of ports',
    'kind: tunnel',
    [RANGE],
    'port',
    /range of ports; expected the port to check$/,
  ],
  [
    'a tunnel to a port that no service has',
    'kind: tunnel, port: ^81',
    [WEB],
    'port',
    /^found 81, which no TCP service/,
  ],
  [
    'a file of certificates that is not there',
    'kind: https, tls: {ca_file: ^none.pem}',
    [WEB],
    'tls.ca_file',
    /^"\/nowhere\/none\.pem": no such file/,
  ],
];

/** As above; the field is that below `pools.web`. */
const LIST_CASES: readonly Case[] = [
  [
    'no entry',
    '^[]',
    [WEB],
    'health',
    /^found an empty list; expected a mapping \{kind: ...\}, or a list of 1 to 4/,
  ],
  [
    'five entries',
    `^[${[1, 2, 3, 4, 5].map((port) => `{kind: tcp, port: ${port}}`).join(', ')}]`,
    [WEB],
    'health',
    /^found 5 checks; expected 4 at most$/,
  ],
  [
    'an entry that is a word',
    '[{kind: tunnel}, ^tcp]',
    [WEB],
    'health[1]',
    /^found "tcp"; expected a mapping/,
  ],
  ['no kind', '[{kind: tunnel}, ^{port: 80}]', [WEB], 'health[1].kind', /^missing/],
  [
    'a port that is none',
    '[{kind: tunnel}, {kind: http, port: ^0}]',
    [WEB],
    'health[1].port',
    /expected a port/,
  ],
  [
    'an unknown field',
    '[{kind: tunnel}, {kind: tcp, ^intervall: 2s}]',
    [WEB],
    'health[1].intervall',
    /did you mean "interval"\?$/,
  ],
  [
    'a field of another kind',
    '[{kind: tcp, ^path: /x}, {kind: http, path: /x}]',
    [WEB],
    'health[0].path',
    /^found with kind tcp; expected only with http or https$/,
  ],
  [
    'a timeout that outlasts its own interval',
    '[{kind: tunnel, interval: 10s, timeout: 5s}, {kind: tcp, timeout: ^5s}]',
    [WEB],
    'health[1].timeout',
    /1800ms at most/,
  ],
  [
    'a port that is not known',
    '[{kind: tunnel}, ^{kind: tcp}]',
    [WEB, OTHER],
    'health[1].port',
    /have several ports/,
  ],
  [
    'a tunnel without a TCP service',
    '[{kind: udp, payload: x}, {kind: ^tunnel}]',
    [UDP],
    'health[1].kind',
    /no service gives pool "web" a VIP/,
  ],
  [
    'a file of certificates that is not there',
    '[{kind: https, port: 1}, {kind: https, tls: {ca_file: ^none.pem}}]',
    [WEB],
    'health[1].tls.ca_file',
    /no such file/,
  ],
  [
    'none beside others',
    '[{kind: tunnel}, {kind: ^none}]',
    [WEB],
    'health[1].kind',
    /^found none beside other checks; expected another kind, or no other check$/,
  ],
  [
    'the same check, once with the port of the services',
    '[{kind: tcp}, {kind: http}, ^{kind: tcp, port: 80, interval: 5s, fall: 1}]',
    [WEB],
    'health[2]',
    /^found the check of line \d+ again; expected another kind, port or request$/,
  ],
  [
    'the same request',
    '[{kind: http, path: /a}, ^{kind: http, path: /a, status: 200}]',
    [WEB],
    'health[1]',
    /again/,
  ],
  ['the same tunnel', '[{kind: tunnel}, ^{kind: tunnel, port: 80}]', [WEB], 'health[1]', /again/],
];

describe('an error in a list of health checks', () => {
  for (const [title, health, services, field, message] of LIST_CASES) {
    it(`is reported at its place: ${title}`, () => {
      const { text, places } = unmark(config(health, ...services));
      const problems = problemsOf(text);
      assert.deepEqual(
        problems.map((problem) => problem.field),
        [`pools.web.${field}`],
      );
      assert.match(problems[0].message, message);
      assert.deepEqual(problems.map(placeOf), places);
    });
  }

  it('hides no error in another entry', () => {
    const fields = problemsOf(config('[{kind: ping}, {kind: tcp, port: 0}, tcp]', WEB)).map(
      ({ field }) => field,
    );
    assert.deepEqual(fields, ['pools.web.health[0].kind', 'pools.web.health[1].port', 'pools.web.health[2]']);
  });
});

describe('an error in a health check', () => {
  for (const [title, health, services, field, message] of CASES) {
    it(`is reported at its place: ${title}`, () => {
      const { text, places } = unmark(config(health, ...services));
      const problems = problemsOf(text).filter((problem) => problem.field.startsWith('pools.web'));
      assert.deepEqual(
        problems.map((problem) => problem.field),
        [`pools.web.health.${field}`],
      );
      assert.match(problems[0].message, message);
      if (health.includes('^')) assert.deepEqual(problems.map(placeOf), places);
    });
  }

  it('is not piled on a service that is wrong itself', () => {
    const services = '{name: web, vip: 203.0.113.10, protocol: tcp, port: 99999, pool: web}';
    assert.deepEqual(
      problemsOf(config('kind: tcp', services)).map(({ field }) => field),
      ['services[0].port'],
    );
  });

  it('says when a file of certificates holds none', () => {
    const text = config(`kind: https, tls: {ca_file: ${FULL}}`, WEB);
    assert.match(problemsOf(text)[0].message, /has no readable certificate; expected certificates in PEM$/);
    assert.deepEqual(problemsOf(text, 'pools'), []);
  });
});
