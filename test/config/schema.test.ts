/** The published JSON Schema says what the loader does, as far as one field at a time can tell. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { configJsonSchema, type JsonSchema } from '#anyhop/config/schema.js';
import { join, problemsOf } from './fixture.js';
import { accepts } from './json-schema.js';

const schema = configJsonSchema();
const example = (name: string) =>
  readFileSync(new URL(`../../../test/config/${name}`, import.meta.url), 'utf8');
const FULL = example('full.yaml');
const FULL_L7 = example('full-l7.yaml');

type Spoilt = readonly [from: string | RegExp, to: string];

function refuseAll(good: string, spoilt: readonly Spoilt[]): void {
  for (const [from, to] of spoilt) {
    const text = good.replace(from, () => to);
    assert.notEqual(text, good, String(from));
    assert.ok(!accepts(schema, parseYaml(text)), `the schema accepts ${to}`);
    assert.ok(problemsOf(text, 'pools').length > 0, `the loader accepts ${to}`);
  }
}

describe('the JSON Schema of the config', () => {
  it('is of draft 2020-12 and has an id, a title and a description', () => {
    assert.equal(schema['$schema'], 'https://json-schema.org/draft/2020-12/schema');
    assert.equal(schema['$id'], 'urn:anyhop:config:1');
    assert.ok(schema['title'] && schema.description);
  });

  it('describes every field and takes no key that it does not know', () => {
    let fields = 0;
    const walk = (part: JsonSchema, path: string): void => {
      for (const [name, field] of Object.entries(part.properties ?? {})) {
        fields++;
        assert.ok(field.description, `${path}${name} has no description`);
        walk(field, `${path}${name}.`);
      }
      if (part.properties) assert.equal(part.additionalProperties, false, path);
      else if (part.additionalProperties) walk(part.additionalProperties, `${path}*.`);
      if (part.items) walk(part.items, `${path}[].`);
      for (const option of part.anyOf ?? []) walk(option, path);
    };
    walk(schema, '');
    assert.ok(fields > 30, `walked over ${fields} fields only`);
  });

  it('accepts the good examples', () => {
    const capitals = FULL_L7.replace('host: api.example.com', 'host: API.Example.com');
    for (const text of [FULL, FULL_L7, capitals, join({})]) assert.ok(accepts(schema, parseYaml(text)));
  });

  it('refuses what the loader refuses by shape, and the loader what it refuses', () => {
    const SPOILT: readonly Spoilt[] = [
      ['name: edge-1', 'nmae: edge-1'],
      ['name: edge-1', 'name: 12'],
      ['name: edge-1', 'name: "a b"'],
      ['interface: eth0', 'interface: eth/0'],
      ['engine: auto', 'engine: dpdk'],
      ['busy_poll_us: 50', 'busy_poll_us: -1'],
      ['bpffs: /sys/fs/bpf', 'bpffs: sys/fs/bpf'],
      ['socket: /run/anyhop/edge-1.sock', `socket: /${'a'.repeat(107)}`],
      ['state_dir: /var', 'state_dir: var'],
      ['listen: 127.0.0.1:9612', 'listen: localhost'],
      ['user: prometheus', 'user: "a:b"'],
      ['name: edge-2', 'name: ""'],
      ['stop_delay: 0s', 'stop_delay: 0'],
      ['settle_time: 5m', 'settle_time: 5 m'],
      ['drain_deadline: 1h', 'drain_deadline: 1w'],
      [/bpffs: \/sys\/fs\/bpf(?= # where agents)/, 'bpffs: sys/fs/bpf'],
      ['report_port: 9611', 'report_port: 0'],
      ['mode: enforce # of every rule', 'mode: on # of every rule'],
      ['packets: 50k', 'packets: 50 k'],
      ['packets: 50k', 'packets: -1'],
      ['by: address', 'by: host'],
      ['prefix4: 32', 'prefix4: 33'],
      ['when: auto', 'when: sometimes'],
      ['- { file: full-allow.txt }', '- { path: full-allow.txt }'],
      ['max_shrink: 50%', 'max_shrink: 150%'],
      ['vip_elsewhere: false', 'vip_elsewhere: no'],
      ['- fd00::1', '- nope'],
      ['key_file: full.key', 'key_file: ""'],
      ['key_file: full.key', 'key: abc'],
      ['key_id: "957ba6bd1fa59302"', 'key_id: first'],
      ['key_file: full.key', `key_file: full.key\n  key: ${'0'.repeat(32)}`],
      ['bpffs: /sys', 'second_chance_prefix: fd00::/64\n  bpffs: /sys'],
      ['id: 11', 'id: 32768'],
      ['id: 11', 'id: 0'],
      ['table_size: 65537', 'table_size: 7'],
      ['table_size: 65537', 'table_size: "65537"'],
      ['panic_threshold: 0.5', 'panic_threshold: 50'],
      ['- kind: tunnel #', '- kind: ping #'],
      ['- kind: tunnel #', '- port: 80 #'],
      ['fall: 5', 'fall: 0'],
      [/health: # one[\s\S]*?settle_time: /, 'health: []\n    settle_time: '],
      [/health: # one[\s\S]*?settle_time: /, 'health: tunnel\n    settle_time: '],
      [/health: # one[\s\S]*?settle_time: /, 'health: {kind: ping}\n    settle_time: '],
      [
        /health: # one[\s\S]*?settle_time: /,
        `health: [${[1, 2, 3, 4, 5].map((port) => `{kind: tcp, port: ${port}}`)}]\n    settle_time: `,
      ],
      ['weight: 2', 'weight: 70000'],
      ['weight: 2', 'weight: -1'],
      ['address: 10.1.0.12', 'address: 10.1.0.256'],
      ['address: 10.1.0.12', 'address: 10.1.0.12/32'],
      ['address: 10.1.0.12, weight', 'weight'],
      ['state: active', 'state: up'],
      ['health: down', 'health: dead'],
      ['agent: false', 'agent: "no"'],
      ['  dns:\n', '  "d n s":\n'],
      ['protocol: tcp', 'protocol: sctp'],
      ['port: 53', 'port: 0'],
      ['"8000-8999"', '"8000..8999"'],
      ['hash: source', 'hash: maglev'],
      ['second_chance: off', 'second_chance: false'],
      [/forwarders: .*/, 'forwarders: []'],
      [/services:[\s\S]*agent:/, 'services: {}\nagent:'],
      [/pools:[\s\S]*services:/, 'pools: {}\nservices:'],
    ];
    refuseAll(FULL, SPOILT);
  });

  it('does the same for the section l7', () => {
    refuseAll(FULL_L7, [
      ['key_file: full-l7.key', 'key: abc'],
      ['key_file: full-l7.key', `key_file: a\n  key: ${'0'.repeat(64)}`],
      ['user: haproxy', 'user: "ha proxy"'],
      ['run_dir: /run', 'run_dir: run'],
      [/health_port: 9612/, 'health_port: 70000'],
      ['max_connections: 20000', 'max_connections: 1'],
      [/drain_deadline: 5m/, 'drain_deadline: 5'],
      ['access_log: stdout', 'access_log: stderr'],
      ['thumbprint: cn', 'thumbprint: n'],
      ['  edge:\n', '  "e d g e":\n'],
      ['services: [https]', 'services: []'],
      ['services: [https]', 'service: [https]'],
      ['certificates: full-certificates', 'certificates: ""'],
      ['redirect_from: [http]', 'redirect_from: http'],
      ['requests: 200', 'requests: 0'],
      ['per: 10s', 'per: 10'],
      ['set: { x-edge: edge }', 'set: { "x edge": edge }'],
      ['set: { x-edge: edge }', 'set: { x-edge: " edge" }'],
      ['set: { x-edge: edge }', 'set: { x-edge: "a\\nb" }'],
      ['remove: [server]', 'remove: ["ser ver"]'],
      ['hsts: 1y', 'hsts: 1w'],
      ['clients: { ca_file: full-ca.pem }', 'clients: {}'],
      ['idle_timeout: 1m', 'idle_timeout: 1.5m'],
      ['host: api.example.com', 'host: "api.example.com:443"'],
      ['host: api.example.com', 'host: api..example.com'],
      ['host: "*.example.com"', 'host: "*example.com"'],
      ['path: /v1/', 'path: v1'],
      ['path: /v1/', 'path: "/v1?x"'],
      ['path: /v1/', 'path: "/%v1"'],
      ['path: /v1/', `path: /${'a'.repeat(1024)}`],
      ['header: { x-beta: "1" }', 'header: { x-beta: 1 }'],
      ['cookie: { group: b }', 'cookie: { group: "a;b" }'],
      ['redirect: "https://shop', 'redirect: "//shop'],
      ['redirect: "https://shop.example.com"', 'to: shop, redirect: "https://shop.example.com"'],
      ['status: 301', 'status: 300'],
      ['status: 301', 'status: "301"'],
      [/- \{ to: shop \}/, '- { to: 1 }'],
      ['balance: hash', 'balance: leastconn'],
      ['hash_on: { header: x-user }', 'hash_on: { header: x-user, cookie: a }'],
      ['hash_on: { header: x-user }', 'hash_on: uri'],
      ['sticky: { cookie: SRV }', 'sticky: { cookie: "S R V" }'],
      ['protocol: http1', 'protocol: h2'],
      ['kind: http # tcp, none', 'kind: https'],
      ['host: shop.internal #', 'host: "shop internal" #'],
      ['status: 200-399', 'status: 200-'],
      ['errors: 10', 'errors: 0'],
      ['panic_threshold: 50%', 'panic_threshold: 50 %'],
      ['retries: 2', 'retries: 11'],
      ['max_connections: 200 ', 'max_connections: 0 '],
      ['tunnel_timeout: 1h', 'tunnel_timeout: 1 h'],
      ['slow_start: 10s', 'slow_start: -1s'],
      ['tls: { server_name: shop.internal', 'tls: { server_name: 10.0.0.1'],
      ['weight: 2, state: active }', 'weight: 257, state: active }'],
      ['state: draining } # keeps its', 'state: down } # keeps its'],
      [/frontends:[\s\S]*upstreams:/, 'frontends: []\n  upstreams:'],
      [/upstreams:[\s\S]*/, ''],
    ]);
  });
});
