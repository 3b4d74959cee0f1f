/** The published JSON Schema says what the loader does, as far as one field at a time can tell. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { configJsonSchema, type JsonSchema } from '#anyhop/config/schema.js';
import { join, problemsOf } from './fixture.js';
import { accepts } from './json-schema.js';

const schema = configJsonSchema();
const FULL = readFileSync(new URL('../../../test/config/full.yaml', import.meta.url), 'utf8');

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
    for (const text of [FULL, join({})]) assert.ok(accepts(schema, parseYaml(text)));
  });

  it('refuses what the loader refuses by shape, and the loader what it refuses', () => {
    const SPOILT: readonly (readonly [from: string | RegExp, to: string])[] = [
      ['name: edge-1', 'nmae: edge-1'],
      ['name: edge-1', 'name: 12'],
      ['name: edge-1', 'name: "a b"'],
      ['interface: eth0', 'interface: eth/0'],
      ['engine: auto', 'engine: dpdk'],
      ['busy_poll_us: 50', 'busy_poll_us: -1'],
      ['bpffs: /sys/fs/bpf', 'bpffs: sys/fs/bpf'],
      ['socket: /run/anyhop/edge-1.sock', `socket: /${'a'.repeat(107)}`],
      ['state_dir: /var', 'state_dir: var'],
      ['stop_delay: 0s', 'stop_delay: 0'],
      ['settle_time: 5m', 'settle_time: 5 m'],
      ['drain_deadline: 1h', 'drain_deadline: 1w'],
      [/bpffs: \/sys\/fs\/bpf(?= # where agents)/, 'bpffs: sys/fs/bpf'],
      ['report_port: 9611', 'report_port: 0'],
      ['vip_elsewhere: false', 'vip_elsewhere: no'],
      ['- fd00::1', '- nope'],
      ['key_file: full.key', 'key_file: ""'],
      ['key_file: full.key', 'key: abc'],
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
      [/pools:[\s\S]*services:/, 'services:'],
    ];
    for (const [from, to] of SPOILT) {
      const text = FULL.replace(from, () => to);
      assert.notEqual(text, FULL, String(from));
      assert.ok(!accepts(schema, parseYaml(text)), `the schema accepts ${to}`);
      assert.ok(problemsOf(text, 'pools').length > 0, `the loader accepts ${to}`);
    }
  });
});
