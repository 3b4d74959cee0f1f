/**
 * Good configs by the hundred, spoilt at a random place in a random way: the error must name the field and its line,
 * and nothing else; several slips must all be found; and whatever bytes come, nothing but a ConfigError may fly.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KEY, parse, problemsOf } from './fixture.js';
import {
  at,
  type List,
  list,
  type Mapping,
  mapping,
  type Path,
  paths,
  pathText,
  put,
  remove,
  render,
  type Tree,
} from './tree.js';

const flow = fc.boolean();
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Pairs of which those without a value are left out, in random order. */
function fields(parts: Record<string, fc.Arbitrary<Tree | undefined>>): fc.Arbitrary<Mapping> {
  return fc.tuple(fc.record(parts), flow, fc.nat()).map(([record, isFlow, rotation]) => {
    const pairs = Object.entries(record).filter((pair): pair is [string, Tree] => pair[1] !== undefined);
    const turn = rotation % pairs.length;
    return mapping(isFlow, [...pairs.slice(turn), ...pairs.slice(0, turn)]);
  });
}

const backend = (pool: number, index: number, isPrior: boolean) =>
  fields({
    name: fc.constantFrom(`b${index}`, `web-${index}.example`),
    // No two have the same low 15 bits.
    address: fc.constantFrom(`10.0.${pool}.${index + 1}`, `"fd00:0:0:1::${8 + pool}0${index + 1}"`),
    weight: optional(fc.nat(65535).map(String)),
    state: optional(fc.constantFrom('active', 'draining')),
    agent: optional(fc.constantFrom('true', 'false')),
    ...(!isPrior && { id: optional(fc.constant(`${32_000 + pool * 16 + index}`)) }),
    ...(isPrior && { health: optional(fc.constantFrom('up', 'down')) }),
  });

const backends = (pool: number, isPrior: boolean) =>
  fc
    .integer({ min: 1, max: 4 })
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => backend(pool, index, isPrior))))
    .map((members) => list(false, members));

const timing = {
  interval: optional(fc.constantFrom('1500ms', '2s', '1m')),
  timeout: optional(fc.constantFrom('10ms', '1s')),
  rise: optional(fc.integer({ min: 1, max: 100 }).map(String)),
};
const check = (kinds: readonly string[], ports: readonly string[]) =>
  fields({
    ...timing,
    kind: fc.constantFrom(...kinds),
    port: fc.constantFrom(...ports),
    jitter: optional(fc.constantFrom('0', '0.3')),
  });
const health: fc.Arbitrary<Tree> = fc.oneof(
  check(['tcp', 'http', 'none'], ['80', '8080']),
  fc
    .tuple(flow, check(['tcp', 'http'], ['80']), check(['tcp', 'http'], ['8080', '8081']))
    .map(([isFlow, ...checks]) => list(isFlow, checks)),
);

const pool = (index: number) =>
  fields({
    backends: backends(index, false),
    table_size: optional(fc.constantFrom('251', '65537', '655373')),
    panic_threshold: optional(fc.constantFrom('0', '0.25', '1')),
    prior: optional(backends(index, true)),
    health: optional(health),
    dead_after: optional(fc.constantFrom('10s', '2h')),
    settle_time: optional(fc.constantFrom('1s', '24h')),
    drain_deadline: optional(fc.constantFrom('1s', '24h')),
  }).map(({ pairs }) => mapping(false, pairs));

const service = (index: number, poolCount: number) =>
  fc.constantFrom('tcp', 'udp').chain((protocol) =>
    fields({
      name: fc.constant(`s${index}`),
      vip: fc.constantFrom('198.51.100.1', '"2001:db8::1"'),
      protocol: fc.constant(protocol),
      port: fc.constantFrom(`${1000 + index * 10}`, `"${1000 + index * 10}-${1009 + index * 10}"`),
      pool: fc.nat(poolCount - 1).map((pool) => `pool${pool}`),
      hash: optional(fc.constantFrom('5-tuple', '3-tuple', 'source')),
      second_chance: optional(protocol === 'tcp' ? fc.constantFrom('on', 'off') : fc.constant('off')),
    }),
  );

const node = fields({
  name: fc.constant('edge-1'),
  interface: fc.constantFrom('eth0', 'bond0.100'),
  engine: optional(fc.constantFrom('auto', 'portable', 'xdp', 'af_xdp')),
  source: fc.constant(null).map(() => list(true, ['192.0.2.0/28', '"fd00::1"'])),
  key: fc.constant(KEY),
  second_chance_prefix: optional(fc.constant('"fd00:0:0:1::/96"')),
  busy_poll_us: optional(fc.nat(1_000_000).map(String)),
  bpffs: optional(fc.constant('/run/bpf')),
  socket: optional(fc.constant('/run/edge.sock')),
  state_dir: optional(fc.constant('/var/lib/edge')),
  local_vips: optional(fc.constantFrom('true', 'false')),
  stop_delay: optional(fc.constantFrom('0s', '10m')),
});

const agent = fields({
  interface: optional(fc.constant('eth0')),
  bpffs: optional(fc.constant('/run/bpf')),
  report_port: optional(fc.constantFrom('1', '65535')),
  vip_elsewhere: optional(fc.constantFrom('true', 'false')),
  forwarders: fc.constant(null).map(() => list(false, ['192.0.2.0/24', '"fd00::1"'])),
});

const target = (hasHost: boolean) =>
  fields({
    ...(hasHost && { host: fc.constantFrom('a.example.com', '"*.example.com"', 'B.example') }),
    ...(hasHost && { path: optional(fc.constantFrom('/', '/v1', '"/a%20b/"')) }),
    ...(hasHost && { header: optional(fc.constant(null).map(() => mapping(true, [['x-beta', '"1"']]))) }),
    ...(hasHost && { cookie: optional(fc.constant(null).map(() => mapping(true, [['group', 'b']]))) }),
    to: fc.constant('shop'),
  });

const frontend = fields({
  services: fc.constant(null).map(() => list(true, ['s0'])),
  routes: fc.tuple(target(true), target(false)).map((routes) => list(false, routes)),
  idle_timeout: optional(fc.constantFrom('1s', '1d')),
  client_rate: optional(
    fields({ requests: fc.constantFrom('1', '1000000'), per: fc.constantFrom('1s', '1h') }),
  ),
});

const server = (index: number) =>
  fields({
    name: fc.constant(`shop-${index}`),
    address: fc.constantFrom(`10.9.0.${index + 1}`, `"fd00:9::${index + 1}"`),
    port: fc.constantFrom('1', '8080', '65535'),
    weight: optional(fc.nat(256).map(String)),
    state: optional(fc.constantFrom('active', 'draining')),
  });

const upstream = fields({
  balance: optional(fc.constantFrom('least_connections', 'round_robin', 'power_of_two')),
  health: optional(fields({ ...timing, kind: optional(fc.constantFrom('tcp', 'http')) })),
  panic_threshold: optional(fc.constantFrom('0', '0.25', '100%')),
  retries: optional(fc.nat(10).map(String)),
  slow_start: optional(fc.constantFrom('0s', '1m')),
  servers: fc
    .integer({ min: 1, max: 3 })
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => server(index))))
    .map((servers) => list(false, servers)),
});

/** For a config whose first service is over TCP. */
const l7 = fields({
  user: optional(fc.constant('proxy')),
  health_port: optional(fc.constantFrom('2', '65534')),
  drain_deadline: optional(fc.constantFrom('1s', '1d')),
  frontends: frontend.map((web) => mapping(false, [['web', web]])),
  upstreams: upstream.map((shop) => mapping(false, [['shop', shop]])),
});

const region = (index: number) =>
  fields({
    nodes: fields({
      // The node of the role that reads the most of the section.
      name: fc.constant(`edge-${index + 1}`),
      address: fc.constantFrom(`10.7.0.${index}`, `"10.7.0.${index}:9613"`, `"[fd00:7::${index}]:1"`),
      weight: optional(fc.constantFrom('1', '1000')),
    }).map((node) => list(false, [node])),
    vips: fields({
      host: fc.constantFrom('www', 'www.shop', '"@"'),
      vip: fc.constantFrom(`198.51.100.${index + 1}`, `"2001:db8:${index}::1"`),
    }).map((vip) => list(false, [vip])),
    nets: optional(fc.constant(null).map(() => list(true, [`10.8.${index}.0/24`, `"fd00:8:${index}::/48"`]))),
  });
const regions = fc.tuple(region(0), region(1)).map(([eu, us]) =>
  mapping(false, [
    ['eu', eu],
    ['us', us],
  ]),
);

const announce = fields({
  listen: optional(fc.constantFrom('10.7.0.0', '"[::]:9613"')),
  certificate: optional(fc.constant('own.pem')),
  ca_file: optional(fc.constant('ca.pem')),
  regions: optional(regions),
  region_file: optional(fc.constant('/run/regions')),
  region_reload: optional(fc.constant(null).map(() => list(true, ['gdnsdctl', 'replace']))),
  table: optional(fc.constantFrom('main', '1', '4294967295')),
  metric: optional(fc.constantFrom('1', '199')),
  drain_metric: optional(fc.constantFrom('200', '4294967295')),
  orphan_time: optional(fc.constantFrom('0s', '1d')),
  withdraw_when: optional(fc.constantFrom('never', 'pool_down')),
  rise: optional(fc.constantFrom('0s', '10m')),
  track_file: optional(fc.constant('/run/anyhop/track')),
  socket: optional(fc.constant('/run/anyhop/announce.sock')),
});

const goodConfig: fc.Arbitrary<Mapping> = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 }))
  .chain(([poolCount, serviceCount]) =>
    fc.record({
      node,
      pools: fc.tuple(...Array.from({ length: poolCount }, (_, index) => pool(index))).map((pools) =>
        mapping(
          false,
          pools.map((value, index) => [`pool${index}`, value]),
        ),
      ),
      services: fc
        .tuple(...Array.from({ length: serviceCount }, (_, index) => service(index, poolCount)))
        .map((services) => list(false, services)),
      agent: optional(agent),
      l7: optional(l7),
      announce: optional(announce),
    }),
  )
  .map(({ l7: tier, ...parts }) =>
    mapping(
      false,
      Object.entries({
        ...parts,
        l7: at(parts.services, [0, 'protocol']) === 'tcp' ? tier : undefined,
      }).filter((pair): pair is [string, Mapping | List] => pair[1] !== undefined),
    ),
  );

interface Slip {
  /** Places where it can be made. */
  readonly where: (root: Mapping) => Path[];
  /** Makes it, and gives back the path of the field that the error must name. */
  readonly make: (root: Mapping, path: Path) => Path;
  /** Path of the field on whose line the error stands; that of the error itself when not given. */
  readonly place?: (path: Path) => Path;
}

const named =
  (...names: string[]) =>
  (root: Mapping) =>
    paths(root, (path) => names.includes(String(path[path.length - 1])));
const within = (path: Path) => path.slice(0, -1);
const set =
  (...values: Tree[]): Slip['make'] =>
  (root, path) => {
    put(root, path, values[pathText(path).length % values.length]);
    return path;
  };
const isAddress = (path: Path) => path[path.length - 1] === 'address';
const isServiceVip = (path: Path) => path[0] === 'services' && path[path.length - 1] === 'vip';
const REQUIRED = 'node pools backends services name address vip protocol port pool forwarders'.split(' ');
const REQUIRED_L7 = 'services routes servers name address port frontends upstreams requests per'.split(' ');
const isRequired = (path: Path) => {
  const field = String(path[path.length - 1]);
  if (path[0] === 'l7') return !path.includes('health') && REQUIRED_L7.includes(field);
  if (path[0] === 'node' && path.length > 1) return field === 'interface' || field === 'source';
  if (path.includes('health')) return field === 'kind';
  return REQUIRED.includes(field);
};

/** Slips in one field, which no other slip elsewhere hides. */
const LOCAL: Record<string, Slip> = {
  'a list for a scalar': {
    where: (root) => paths(root, (_, tree) => typeof tree === 'string'),
    make: set(list(true, []), list(true, ['1'])),
  },
  'a mapping for a scalar': {
    where: (root) => paths(root, (_, tree) => typeof tree === 'string'),
    make: set(mapping(true, [['a', '1']])),
  },
  'nothing for a value': {
    where: (root) => paths(root, (path) => typeof path[path.length - 1] === 'string'),
    make: set(''),
  },
  'a word for a collection': {
    where: (root) =>
      paths(root, (_, tree) => typeof tree !== 'string').filter((path) => path[path.length - 1] !== 'source'),
    make: set('word'),
  },
  'an address that is none': {
    where: named('address', 'vip'),
    make: set('10.0.0.256', '10.1', '"::g"', 'localhost', '10.0.0.1/8', '"fe80::1%eth0"'),
  },
  'an address of no host': {
    where: named('address', 'vip'),
    make: set('127.0.0.1', '0.0.0.0', '"::1"', '"ff02::1"', '255.255.255.255'),
  },
  'a number out of range': { where: named('weight', 'port'), make: set('70000', '-1') },
  'a number that is no whole one': {
    where: named('weight', 'port', 'table_size'),
    make: set('1.5', '.inf', '1e99'),
  },
  'an id out of range': { where: named('id'), make: set('0', '32768', '-1') },
  'a number that looks octal': { where: named('weight', 'port', 'table_size'), make: set('0701', '00') },
  'a table size that is no prime': { where: named('table_size'), make: set('65536', '251001') },
  'a time that is none': {
    where: named('interval', 'timeout', 'dead_after'),
    make: set('2', '2 s', '1.5s', '"2m30s"', '-1s', '0ms', '999999999h'),
  },
  'a share above one': { where: named('panic_threshold', 'jitter'), make: set('1.01', '"0.5"') },
  'a choice that is none': {
    where: named('state', 'hash', 'protocol', 'engine', 'second_chance', 'health'),
    make: set('other', 'true', '1', 'yes'),
  },
  'a name that is none': {
    where: (root) => paths(root, (path) => path[path.length - 1] === 'name'),
    make: set('"a b"', '-x', '123', 'true', '"\\u00e9"', 'x'.repeat(64)),
  },
  'an interface that is none': { where: named('interface'), make: set('"eth 0"', 'a/b', 'interface0123456') },
  'a key that is none': {
    where: named('key'),
    make: set(KEY.slice(1), `${KEY}g0`, 'c0ffee', '12345678901234567890123456789012'),
  },
  'a truth value that is none': {
    where: (root) =>
      paths(
        root,
        (path, tree) => path.length > 1 && path[path.length - 1] === 'agent' && typeof tree === 'string',
      ),
    make: set('on', '1', '"true"'),
  },
  'an unknown key': {
    where: (root) =>
      paths(
        root,
        (path, tree) =>
          typeof tree !== 'string' && tree.kind === 'mapping' && path[path.length - 1] !== 'pools',
      ),
    make: (root, path) => {
      const target = at(root, path) as Mapping;
      target.pairs.splice(pathText(path).length % (target.pairs.length + 1), 0, ['unheard_of', '1']);
      return [...path, 'unheard_of'];
    },
  },
  'a key given twice': {
    where: (root) =>
      paths(root, (path, tree) => typeof tree === 'string' && typeof path[path.length - 1] === 'string'),
    make: (root, path) => {
      (at(root, within(path)) as Mapping).pairs.push([String(path[path.length - 1]), at(root, path)]);
      return path;
    },
  },
  'a field left out': {
    where: (root) => paths(root, isRequired),
    make: (root, path) => {
      remove(root, path);
      return path;
    },
    place: within,
  },
};

/** Slips that take two fields to see. */
const ACROSS: Record<string, Slip> = {
  'a pool that is none': {
    where: (root) => paths(root, (path) => path[0] === 'services' && path[2] === 'pool'),
    make: set('nowhere', 'Pool', 'constructor'),
  },
  'the name of a neighbour': {
    where: (root) => named('name')(root).filter((path) => Number(path[path.length - 2]) > 0),
    make: (root, path) => {
      const first = [...path.slice(0, -2), 0, 'name'];
      put(root, path, at(root, first));
      return path;
    },
  },
  'the address of a neighbour': {
    where: (root) => paths(root, (path) => isAddress(path) && Number(path[path.length - 2]) > 0),
    make: (root, path) => {
      const [list, index] = [path.slice(0, -2), path[path.length - 2]];
      put(root, path, at(root, [...list, 0, 'address']));
      if (path[0] === 'l7') put(root, [...list, index, 'port'], at(root, [...list, 0, 'port']));
      remove(root, [...within(path), 'id']);
      return path;
    },
  },
  'the check of a neighbour': {
    where: (root) => paths(root, (path) => path[2] === 'health' && Number(path[3]) > 0 && path.length === 4),
    make: (root, path) => {
      for (const field of ['kind', 'port'])
        put(root, [...path, field], at(root, [...within(path), 0, field]));
      return path;
    },
  },
  'no check beside another': {
    where: (root) => paths(root, (path) => path[2] === 'health' && Number(path[3]) > 0 && path[4] === 'kind'),
    make: set('none'),
  },
  'the VIP of a backend': {
    where: (root) => paths(root, isServiceVip),
    make: (root, path) => {
      put(root, path, at(root, ['pools', 'pool0', 'backends', 0, 'address']));
      return path;
    },
  },
  'a VIP within the source': {
    where: (root) => paths(root, isServiceVip),
    make: set('192.0.2.3', '"fd00::1"'),
  },
  'ports of an earlier service': {
    where: (root) =>
      paths(root, (path) => path[0] === 'services' && Number(path[1]) > 0 && path[2] === 'port'),
    make: (root, path) => {
      for (const field of ['vip', 'protocol', 'port'])
        put(root, [...within(path), field], at(root, ['services', 0, field]));
      remove(root, [...within(path), 'second_chance']);
      return path;
    },
  },
  'second chance for UDP': {
    where: (root) =>
      named('second_chance')(root).filter((path) => at(root, [...within(path), 'protocol']) === 'udp'),
    make: set('on'),
  },
  'a source of a family that is there': {
    where: () => [['node', 'source']],
    make: (root) => {
      put(root, ['node', 'source'], list(true, ['192.0.2.1', '"fd00::1"', '"fd00::2"']));
      return ['node', 'source', 2];
    },
  },
  'a key file beside the key': {
    where: () => [['node', 'key_file']],
    make: set('/nowhere/key'),
  },
};

const SLIPS = { ...LOCAL, ...ACROSS };
const RUNS = 300;

/** A slip of one of the local kinds at one of its places, chosen by two numbers so that both shrink. */
function choose(root: Mapping, kind: number, place: number) {
  const usable = Object.keys(LOCAL).filter((name) => LOCAL[name].where(root).length > 0);
  const name = usable[kind % usable.length];
  const where = LOCAL[name].where(root);
  return { name, slip: LOCAL[name], path: where[place % where.length] };
}

const copy = (root: Mapping): Mapping => structuredClone(root);

function assertNoSecret(messages: string): void {
  assert.ok(!messages.includes(KEY.slice(0, 12)), 'the secret shows');
}

describe('config mutations', () => {
  it('start from configs that are good, for every reader', () => {
    fc.assert(
      fc.property(goodConfig, (root) => {
        const { text } = render(root);
        assert.deepEqual(problemsOf(text), [], text);
        assert.equal(parse(text).services.length, (at(root, ['services']) as List).items.length);
      }),
      { numRuns: 200 },
    );
  });

  for (const [name, slip] of Object.entries(SLIPS)) {
    it(`are told by their field and line, and nothing else is: ${name}`, () => {
      fc.assert(
        fc.property(goodConfig, fc.nat(), (good, place) => {
          const root = copy(good);
          const places = slip.where(root);
          fc.pre(places.length > 0);
          const path = places[place % places.length];
          const field = slip.make(root, path);
          const { text, lines } = render(root);
          const problems = problemsOf(text);
          const told = problems
            .map((problem) => `${problem.line} ${problem.field}: ${problem.message}`)
            .join('\n');
          const line = lines.get(pathText(slip.place?.(field) ?? field));
          assert.deepEqual(
            [...new Set(problems.map((problem) => `${problem.line} ${problem.field}`))],
            [`${line} ${pathText(field)}`],
            `at ${pathText(path)}\n${told}\n${text}`,
          );
          assertNoSecret(told);
        }),
        { numRuns: 25 },
      );
    });
  }

  it('are all told when there are several', () => {
    fc.assert(
      fc.property(
        goodConfig,
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 2, maxLength: 6 }),
        (good, choices) => {
          const root = copy(good);
          const expected: { name: string; field: Path; place: Path }[] = [];
          for (const [kind, place] of choices) {
            const { name, slip, path } = choose(root, kind, place);
            // One slip a place, and none around or within another.
            const owner = pathText(slip.place?.(path) ?? path);
            const taken = expected.some(({ field, place }) =>
              [pathText(field), pathText(place)].some(
                (other) => other.startsWith(owner) || owner.startsWith(other),
              ),
            );
            if (taken) continue;
            const field = slip.make(root, path);
            expected.push({ name, field, place: slip.place?.(field) ?? field });
          }
          const { text, lines } = render(root);
          const problems = problemsOf(text);
          const told = problems.map((problem) => `${problem.line} ${problem.field}: ${problem.message}`);
          for (const { name, field, place } of expected) {
            const start = `${lines.get(pathText(place))} ${pathText(field)}: `;
            assert.ok(
              told.some((line) => line.startsWith(start)),
              `${name}: no "${start}" in\n${told.join('\n')}\n${text}`,
            );
          }
          assert.deepEqual(
            problems.map(({ line }) => line),
            problems.map(({ line }) => line).sort((a, b) => a - b),
          );
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('of single characters are read, or refused with a place in the file and without the secret', () => {
    const edit = fc.record({
      at: fc.nat(),
      cut: fc.nat(3),
      insert: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 3 }),
        fc.constantFrom(
          ':',
          '- ',
          '{',
          '}',
          '[',
          ']',
          '"',
          "'",
          '#',
          '&a ',
          '*a',
          '!x ',
          '|',
          '>',
          '\n',
          '\t',
          '%',
          '? ',
          '---\n',
          '...\n',
        ),
      ),
    });
    fc.assert(
      fc.property(goodConfig, edit, (root, { at, cut, insert }) => {
        const { text } = render(root);
        const start = at % text.length;
        const spoilt = text.slice(0, start) + insert + text.slice(start + cut);
        const problems = problemsOf(spoilt);
        const lineCount = spoilt.split('\n').length;
        for (const { line, column, message } of problems) {
          assert.ok(line >= 1 && line <= lineCount && column >= 1, `${line}:${column} of ${lineCount} lines`);
          assert.match(message, /^[ -~]+$/);
        }
        assertNoSecret(JSON.stringify(problems));
      }),
      { numRuns: RUNS },
    );
  });

  it('down to junk end in a ConfigError', () => {
    const junk = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc
        .array(
          fc.constantFrom(
            'a',
            ': ',
            '\n',
            '  ',
            '- ',
            '[',
            ']',
            '{',
            '}',
            ',',
            '"',
            '&a ',
            '*a ',
            '? ',
            '|',
            '#',
            'node',
            'pools',
          ),
          { maxLength: 60 },
        )
        .map((parts) => parts.join('')),
      fc.json({ maxDepth: 6 }),
    );
    fc.assert(
      fc.property(junk, (text) => assert.ok(problemsOf(text).length > 0)),
      { numRuns: RUNS },
    );
  });
});
