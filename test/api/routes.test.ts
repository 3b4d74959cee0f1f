/** The control API over HTTP: what each path takes, what it answers, and what it says of what it does not take. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { pino } from 'pino';
import { ControlError, type TablesReport } from '#anyhop/api/api.js';
import { tableParts } from '#anyhop/api/table-parts.js';
import { ConfigError } from '#anyhop/config/error.js';
import { NAME_PATTERN } from '#anyhop/config/name-fields.js';
import { deferred } from '#anyhop/core/deferred.js';
import { parsePrefix } from '#anyhop/packet/address.js';
import type { OverridePatch } from '#anyhop/pool/override.js';
import { NONE } from '#anyhop/table/layers.js';
import { ask, type FakeNode, fakeNode, post, type Told } from './fake-node.js';
import { rawClient } from './raw-client.js';

const REPORT = { generation: 7, pools: [], changes: [], warnings: [] };
let node: FakeNode;
beforeEach(async () => {
  node = await fakeNode();
});
afterEach(() => node.close());

describe('the control API', () => {
  it('answers what is asked for with JSON that nobody keeps', async () => {
    const { status, headers, json } = await ask(node.socket, '/status');
    assert.deepEqual([status, json], [200, { node: 'edge-1' }]);
    assert.equal(headers['content-type'], 'application/json; charset=utf-8');
    assert.equal(headers['cache-control'], 'no-store');
    assert.deepEqual((await ask(node.socket, '/health')).json, { backends: [] });
    assert.deepEqual((await ask(node.socket, '/counters')).json, {
      verdicts: {},
      services: {},
      backends: {},
    });
    assert.deepEqual((await ask(node.socket, '/ready')).json, { ready: true, reasons: [], services: [] });
  });

  it('says where a flow goes, and by what it decides', async () => {
    const flow = 'source=198.51.100.7:40000&destination=203.0.113.10:80';
    const { status, json } = await ask(node.socket, `/which?protocol=tcp&${flow}`);
    assert.deepEqual([status, json.node, json.answer.verdict], [200, 'edge-1', 'pass_not_vip']);
    const inForce = await ask(node.socket, '/in-force');
    assert.deepEqual([inForce.status, inForce.json.generation, inForce.json.pools], [200, 7, []]);
    for (const [query, message] of [
      [`protocol=icmp&${flow}`, /protocol is wrong; expected tcp or udp/],
      ['protocol=tcp&source=198.51.100.7:40000', /destination is missing; expected ADDRESS:PORT/],
      ['protocol=tcp&source=x:1&destination=203.0.113.10:80', /source is wrong; expected ADDRESS:PORT/],
      ['protocol=tcp&source=[fd00::1]:1&destination=203.0.113.10:80', /not of one family/],
    ] as const) {
      const refused = await ask(node.socket, `/which?${query}`);
      assert.equal(refused.status, 400);
      assert.match(refused.json.error.message, message);
    }
  });

  it('gives events since a time, and after one that is known', async () => {
    const asked: unknown[] = [];
    node.instead.events = (query) => {
      asked.push(query);
      return { since: '2024-05-01T12:00:00.000Z', events: [] };
    };
    for (const query of ['', '?since=2024-05-01T12:00:00Z', '?since=2024-05-01T14:00%2B02:00&after=17'])
      assert.equal((await ask(node.socket, `/events${query}`)).status, 200);
    const sinceMs = Date.UTC(2024, 4, 1, 12);
    assert.deepEqual(asked, [
      { sinceMs: undefined, after: undefined },
      { sinceMs, after: undefined },
      { sinceMs, after: 17 },
    ]);
    for (const [query, message] of [
      ['since=yesterday', /since is wrong; expected a time in ISO 8601/],
      ['since=2024-13-01T00:00:00Z', /since is wrong/],
      ['after=-1', /after is wrong; expected a whole number/],
    ] as const) {
      const refused = await ask(node.socket, `/events?${query}`);
      assert.equal(refused.status, 400);
      assert.match(refused.json.error.message, message);
    }
  });

  it('says with 503 that the node is not ready, and why', async () => {
    node.instead.ready = () => ({ ready: false, reasons: ['it starts'], services: [] });
    const { status, json } = await ask(node.socket, '/ready');
    assert.deepEqual([status, json], [503, { ready: false, reasons: ['it starts'], services: [] }]);
  });

  it('hands an action what was asked, with force off and every pool meant unless said otherwise', async () => {
    const told: [string, unknown, Told][] = [
      ['/plan', {}, { what: 'plan' }],
      ['/reload', {}, { what: 'reload', options: { force: false } }],
      ['/reload', { force: true }, { what: 'reload', options: { force: true } }],
      [
        '/drain',
        { backend: 'web-1' },
        { what: 'drain', target: { backend: 'web-1', pool: undefined }, options: { force: false } },
      ],
      [
        '/undrain',
        { backend: 'web-1', pool: 'web', force: true },
        { what: 'undrain', target: { backend: 'web-1', pool: 'web' }, options: { force: true } },
      ],
      [
        '/weight',
        { backend: 'web-1', weight: 0 },
        {
          what: 'weight',
          target: { backend: 'web-1', pool: undefined },
          weight: 0,
          options: { force: false },
        },
      ],
    ];
    const plans: [string, unknown, OverridePatch][] = [
      ['/drain', {}, { state: 'draining' }],
      ['/undrain', {}, { state: 'active' }],
      ['/weight', { weight: 3 }, { weight: 3 }],
    ];
    for (const [path, body, patch] of plans) {
      const target = { backend: 'web-1', pool: undefined };
      const expected: Told = { what: 'plan for', target, patch, options: { force: false } };
      told.push([path, { backend: 'web-1', plan: true, ...(body as object) }, expected]);
    }
    told.push(['/cancel', { id: 'web:3' }, { what: 'cancel', id: 'web:3' }]);
    told.push(['/force', { id: 'web.a-b:12' }, { what: 'force', id: 'web.a-b:12' }]);
    const prefix = parsePrefix('198.51.100.0/24')!;
    const block = { prefixes: [prefix.text], forMs: 600_000, why: 'scans' };
    told.push(['/defend/block', block, { what: 'block', listed: { ...block, prefixes: [prefix] } }]);
    told.push([
      '/defend/unblock',
      { prefixes: [prefix.text] },
      { what: 'unblock', listed: { prefixes: [prefix] } },
    ]);
    for (const [path, body, expected] of told) {
      const { status, json } = await post(node.socket, path, body);
      assert.equal(status, 200);
      if (expected.what.endsWith('block'))
        assert.deepEqual(json, { changes: [{ prefix: '198.51.100.0/24', effect: 'added' }], warnings: [] });
      else if (!expected.what.startsWith('plan')) assert.deepEqual(json, REPORT);
      assert.deepEqual(node.told.at(-1), expected);
    }
    assert.equal((await ask(node.socket, '/reload', { method: 'POST' })).status, 200, 'without a body');
    assert.equal((await ask(node.socket, '/tables?pool=web')).status, 200);
    assert.deepEqual(node.told.at(-1), { what: 'tables', pool: 'web' });
  });

  it('refuses a body that is not as the path takes it, names the field, and tells no action', async () => {
    const refused: [string, unknown, RegExp][] = [
      ['/drain', {}, /body: backend is missing; expected a name/],
      ['/drain', { backend: 'web 1' }, /backend is wrong; expected a name/],
      ['/drain', { backend: 'web-1\0' }, /backend is wrong/],
      ['/drain', { backend: 'web-1\n' }, /backend is wrong/],
      ['/drain', { backend: ['web-1'] }, /backend is wrong/],
      ['/drain', { backend: 'x'.repeat(64) }, /backend is wrong.*63/],
      ['/drain', { backend: 'web-1', pool: null }, /pool is wrong/],
      ['/drain', { backend: 'web-1', force: 'yes' }, /force is wrong; expected true or false/],
      ['/drain', { backend: 'web-1', fource: true }, /unknown field \\"fource\\".*Did you mean force/],
      [
        '/drain',
        { backend: 'web-1', weight: 1 },
        /unknown field \\"weight\\".*takes backend, pool, force, plan/,
      ],
      ['/cancel', {}, /id is missing; expected the id of a change that waits/],
      ['/cancel', { id: 'web' }, /id is wrong/],
      ['/force', { id: 'web:0' }, /id is wrong/],
      ['/force', { id: 'web:3', force: true }, /unknown field/],
      ['/weight', { backend: 'web-1' }, /weight is missing; expected a whole number, 0 to 65535/],
      ...[-1, 1.5, 65536, 1e99, '1', null, true].map((weight): [string, unknown, RegExp] => [
        '/weight',
        { backend: 'web-1', weight },
        /weight is wrong/,
      ]),
      ['/defend/block', {}, /prefixes is missing; expected a list of 1 to 1000 prefixes or addresses/],
      ...[[], '::1', null, {}, Array.from({ length: 1001 }, () => '::1')].map(
        (prefixes): [string, unknown, RegExp] => [
          '/defend/block',
          { prefixes },
          /prefixes is wrong; expected a list of 1 to 1000 prefixes or addresses/,
        ],
      ),
      ...['192.0.2.1/24', '192.0.2.1/33', '::/129', '192.0.2.1\n', 'all', 7, ['::'], null].map(
        (prefix): [string, unknown, RegExp] => [
          '/defend/block',
          { prefixes: ['::1', prefix] },
          /prefixes is wrong; expected an IPv4 or IPv6 address, or a prefix/,
        ],
      ),
      ...[0, 999, 1.5, 1e12, '10m', null].map((forMs): [string, unknown, RegExp] => [
        '/defend/allow',
        { prefixes: ['::1'], forMs },
        /forMs is wrong; expected a whole number of milliseconds, 1000 to/,
      ]),
      ...['', 'x'.repeat(201), 'a\x1b[2J', 'a\u202eb', 3].map((why): [string, unknown, RegExp] => [
        '/defend/block',
        { prefixes: ['::1'], why },
        /why is wrong; expected printable text, 1 to 200 characters/,
      ]),
      ['/defend/unblock', { prefixes: ['::1'], forMs: 1000 }, /unknown field/],
      ['/plan', { force: true }, /unknown field.*takes none/],
      ['/reload', [], /body is no JSON object/],
      ['/reload', 'force', /body is no JSON object/],
      ['/reload', null, /body is no JSON object/],
    ];
    for (const [path, body, message] of refused) {
      const { status, text, json } = await post(node.socket, path, body);
      assert.equal(status, 400, text);
      assert.equal(json.error.code, 'ERR_REQUEST');
      assert.match(text, message);
    }
    for (const body of [
      '{"__proto__":{"force":true}}',
      '{"constructor":{}}',
      '{"force":true,"toString":1}',
    ]) {
      const { status, text } = await ask(node.socket, '/reload', { method: 'POST', body });
      assert.equal(status, 400, body);
      assert.match(text, /unknown field/);
    }
    for (const body of ['{', 'force=true', '{"force":NaN}', Uint8Array.of(0x22, 0xff, 0x22)]) {
      const { status, text } = await ask(node.socket, '/reload', { method: 'POST', body });
      assert.equal(status, 400);
      assert.match(text, /ERR_REQUEST.*not JSON/);
    }
    assert.deepEqual(node.told, []);
  });

  it('refuses a query that is not as the path takes it', async () => {
    for (const [path, message] of [
      ['/status?x=1', /the query: unknown field \\"x\\"/],
      ['/tables?pool=', /pool is wrong/],
      ['/tables?pool=%00', /pool is wrong/],
      ['/tables?pool=web&pool=api', /twice/],
      ['/tables?poll=web', /Did you mean pool/],
      ['/tables?__proto__=web', /unknown field/],
    ] as const) {
      const { status, text } = await ask(node.socket, path);
      assert.equal(status, 400, path);
      assert.match(text, message);
    }
    assert.equal((await ask(node.socket, '/drain?force=true', { method: 'POST' })).status, 400);
    assert.deepEqual(node.told, []);
  });

  it('says what there is for a path that it does not know, and which methods a path takes', async () => {
    for (const wrong of ['/', '//', '//[', '/%', '/constructor', '/status/../x', '/__proto__', '*']) {
      const { status, text } = await ask(node.socket, wrong);
      assert.equal(status, 404, wrong);
      assert.match(text, /ERR_NOT_FOUND.*\/status, \/ready/);
    }
    for (const [method, path, allowed] of [
      ['POST', '/status', 'GET'],
      ['DELETE', '/tables', 'GET'],
      ['GET', '/reload', 'POST'],
      ['PUT', '/drain', 'POST'],
    ]) {
      const { status, headers, json } = await ask(node.socket, path, { method });
      assert.deepEqual([status, headers['allow'], json.error.code], [405, allowed, 'ERR_METHOD']);
    }
    assert.equal((await ask(node.socket, '/status', { method: 'HEAD' })).status, 405);
  });

  it('takes JSON alone', async () => {
    const asked = (type: string) =>
      ask(node.socket, '/reload', { method: 'POST', headers: { 'content-type': type }, body: '{}' });
    for (const good of ['application/json', 'Application/JSON; charset=utf-8']) {
      assert.equal((await asked(good)).status, 200, good);
    }
    for (const bad of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
      const { status, text } = await asked(bad);
      assert.equal(status, 415, bad);
      assert.match(text, /ERR_CONTENT_TYPE.*application\/json/);
    }
  });

  it('passes on what the node says against it, with the problems of a config file', async () => {
    node.instead.drain = async () => {
      throw new ControlError(404, 'ERR_NOT_FOUND', 'no pool has a backend web-9', { hint: 'Say another.' });
    };
    const unknown = await post(node.socket, '/drain', { backend: 'web-9' });
    assert.equal(unknown.status, 404);
    assert.deepEqual(unknown.json, {
      error: { code: 'ERR_NOT_FOUND', message: 'no pool has a backend web-9', hint: 'Say another.' },
    });
    const problem = { file: 'a.yaml', line: 3, column: 5, field: 'pools', message: 'missing' };
    node.instead.reload = async () => {
      throw new ConfigError([problem]);
    };
    const refused = await post(node.socket, '/reload', {});
    assert.equal(refused.status, 422);
    assert.equal(refused.json.error.code, 'ERR_CONFIG');
    assert.deepEqual(refused.json.error.problems, [problem]);
  });

  it('tells the log of a fault of the node, answers 500, and goes on', async () => {
    const lines: string[] = [];
    const sink = new Writable({ write: (line, _, done) => done(void lines.push(String(line))) });
    const broken = await fakeNode({}, pino(sink));
    try {
      broken.instead.counters = () => {
        throw new Error('out of luck');
      };
      broken.instead.health = () => ({ backends: 1n }) as never; // no JSON
      const { status, json } = await ask(broken.socket, '/counters');
      assert.deepEqual([status, json.error], [500, { code: 'ERR_INTERNAL', message: 'out of luck' }]);
      assert.match(lines.join(''), /"event":"control_fault","method":"GET","url":"\/counters".*out of luck/);
      assert.equal((await ask(broken.socket, '/health')).status, 500);
      assert.equal(lines.length, 2);
      const owners = {
        length: 1_000_000,
        get 500000(): number {
          throw new Error('half a table');
        },
      };
      const pools = [{ pool: 'web', slots: 1, backends: [], owners, alternates: [] }];
      broken.instead.tables = async () => ({ generation: 7, pools });
      const cut = rawClient(broken.socket, 'GET /tables HTTP/1.1\r\nhost: x\r\n\r\n');
      await cut.closed;
      assert.doesNotMatch(cut.received(), /\r\n0\r\n/, 'half an answer looks whole');
      assert.match(lines.at(-1)!, /"event":"control_fault".*half a table/);
      const leaving = rawClient(broken.socket, 'GET /tables HTTP/1.1\r\nhost: x\r\n\r\n');
      await once(leaving.socket, 'data');
      leaving.socket.destroy();
      assert.equal((await ask(broken.socket, '/status')).status, 200);
      assert.equal(lines.length, 3, 'a client that leaves is no fault');
    } finally {
      await broken.close();
    }
  });

  it('makes one change at a time, in the order in which they were asked, and answers questions meanwhile', async () => {
    let running = 0;
    const order: string[] = [];
    const isAsked = deferred<void>();
    node.instead.drain = async ({ backend }) => {
      running++;
      assert.equal(running, 1, 'two changes at a time');
      await isAsked.promise;
      await delay(5);
      order.push(backend);
      running--;
      if (backend === 'b1') throw new ControlError(404, 'ERR_NOT_FOUND', 'there is none');
      return REPORT;
    };
    const changes = ['b0', 'b1', 'b2'].map((backend) => post(node.socket, '/drain', { backend }));
    assert.equal((await ask(node.socket, '/status')).status, 200);
    assert.deepEqual(order, []);
    isAsked.resolve();
    assert.deepEqual(
      (await Promise.all(changes)).map(({ status }) => status),
      [200, 404, 200],
    );
    assert.deepEqual(order.sort(), ['b0', 'b1', 'b2']);
  });

  it('never fails, and tells no action what was not checked, whatever is asked', async () => {
    const mostly = <T>(often: T, seldom: fc.Arbitrary<T>): fc.Arbitrary<T> =>
      fc.oneof({ weight: 3, arbitrary: fc.constant(often) }, { weight: 1, arbitrary: seldom });
    const target = {
      backend: mostly<unknown>('web-1', fc.oneof(fc.string(), fc.jsonValue())),
      pool: mostly<unknown>('web', fc.oneof(fc.string(), fc.jsonValue())),
      force: mostly<unknown>(true, fc.jsonValue()),
    };
    const weight = mostly<unknown>(
      1,
      fc.oneof(fc.integer({ min: -10, max: 70_000 }), fc.double(), fc.string()),
    );
    const listed = {
      prefixes: mostly<unknown>(
        ['192.0.2.0/24'],
        fc.oneof(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())), fc.jsonValue()),
      ),
      forMs: mostly<unknown>(60_000, fc.oneof(fc.integer(), fc.double(), fc.jsonValue())),
      why: mostly<unknown>('a flood', fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue())),
    };
    const fields = fc.oneof(
      fc.record(listed, { requiredKeys: ['prefixes'] }),
      fc.record(target, { requiredKeys: ['backend'] }),
      fc.record({ ...target, weight, plan: fc.boolean() }, { requiredKeys: [] }),
      fc.record({ id: mostly<unknown>('web:3', fc.string()) }),
    );
    const paths = [
      ...['/status', '/ready', '/tables', '/plan', '/reload', '/drain', '/undrain', '/weight'],
      ...['/changes', '/cancel', '/force', '/defend', '/defend/block', '/defend/allow', '/defend/unblock'],
    ];
    const path = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...paths) },
      { weight: 1, arbitrary: fc.webPath().map((text) => text || '/') },
    );
    const query = mostly(
      '',
      fc.webQueryParameters().map((text) => `?${text}`),
    );
    const method = mostly('POST', fc.constantFrom('GET', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'));
    const body = fc.oneof(
      { weight: 8, arbitrary: fields.map((value) => JSON.stringify(value)) },
      fc.json(),
      fc.string({ unit: 'binary' }),
      fc.uint8Array(),
    );
    let changes = 0;
    await fc.assert(
      fc.asyncProperty(method, path, query, body, async (verb, where, more, sent) => {
        node.told.length = 0;
        const { status } = await ask(node.socket, `${where}${more}`, { method: verb, body: sent });
        assert.ok(status !== undefined && status < 500, String(status));
        changes += node.told.length;
        assert.equal(
          node.told.length > 0,
          status === 200 && !['/status', '/ready', '/changes', '/defend'].includes(where),
        );
        for (const told of node.told) assertChecked(told);
      }),
      { numRuns: 500 },
    );
    assert.ok(changes > 0);
  });
});

function assertChecked(told: Told): void {
  if ('options' in told) assert.equal(typeof told.options.force, 'boolean');
  if ('weight' in told) assert.ok(Number.isInteger(told.weight) && told.weight >= 0 && told.weight <= 65535);
  if ('listed' in told) {
    const { prefixes, forMs = 1000, why = 'none' } = told.listed;
    for (const { text } of prefixes) assert.equal(parsePrefix(text)?.text, text);
    assert.ok(Number.isInteger(forMs) && forMs >= 1000 && why.length <= 200 && !/\p{C}/u.test(why));
  }
  const names =
    'target' in told ? [told.target.backend, told.target.pool] : 'pool' in told ? [told.pool] : [];
  for (const name of names) assert.ok(name === undefined || NAME_PATTERN.test(name), String(name));
}

describe('the text of a report of tables', () => {
  it('is the JSON of the report, whatever its parts, with null for what nobody owns', () => {
    const entry = fc.oneof(fc.nat(4000), fc.constant(null), fc.constant(NONE));
    const table = fc.oneof(
      fc.array(entry),
      fc
        .array(fc.constantFrom(0, 1, NONE), { minLength: 8190, maxLength: 8194, size: 'max' })
        .map((of) => Uint16Array.from(of)),
    );
    const pool = fc.record({
      pool: fc.string(),
      slots: fc.nat(),
      backends: fc.array(fc.string()),
      owners: table,
      alternates: table,
    });
    fc.assert(
      fc.property(fc.nat(), fc.array(pool, { maxLength: 3 }), (generation, pools) => {
        const report: TablesReport = { generation, pools };
        const plain = (entries: ArrayLike<number | null>) =>
          Array.from(entries, (one) => (one === NONE ? null : one));
        const expected = {
          generation,
          pools: pools.map((one) => ({
            ...one,
            owners: plain(one.owners),
            alternates: plain(one.alternates),
          })),
        };
        assert.deepEqual(JSON.parse([...tableParts(report)].join('')), expected);
      }),
      { numRuns: 50 },
    );
  });
});
