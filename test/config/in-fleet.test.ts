/** The config of a host in a fleet: its own file, and over what revision it is read. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { ConfigError } from '#anyhop/config/error.js';
import { keepRevision, keptRevision } from '#anyhop/config/fleet/kept.js';
import { mentionsFleet, mergedText } from '#anyhop/config/fleet/merged.js';
import { loadConfig, parseConfig } from '#anyhop/config/load.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const FLEET = `fleet: {name: edge, endpoints: ["http://127.0.0.1:2379"], operator_key: "${KEY}"}\n`;
const REVISION = `# what all have in common
node: {engine: portable, key: 00112233445566778899aabbccddeeff, stop_delay: 5s}
agent: {forwarders: [10.0.0.0/24]}
pools:
  web: {backends: [{name: web-1, address: 10.1.0.11}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
`;

describe('the config of a host in a fleet', () => {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-in-fleet-'));
  const state = join(directory, 'state');
  mkdirSync(state, { mode: 0o700 });
  after(() => rmSync(directory, { recursive: true }));
  let files = 0;
  const own = (text: string): string => {
    const file = join(directory, `own-${files++}.yaml`);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const env = {};
  const problems = (task: () => unknown): string[] => {
    try {
      task();
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      return error.problems.map(({ field, message }) => `${field}: ${message}`);
    }
    return [];
  };

  test('is the revision, with single settings of the host over it', () => {
    const file = own(`${FLEET}node: {name: edge-7, interface: eth0, source: 10.0.0.7, engine: xdp}\n`);
    const { node, pools, services } = loadConfig(file, {
      role: 'run',
      env,
      revision: { number: 3, text: REVISION },
    });
    assert.deepEqual(
      [node.name, node.interface, node.engine, node.stopDelayMs, node.source4?.text],
      ['edge-7', 'eth0', 'xdp', 5_000, '10.0.0.7/32'],
    );
    assert.deepEqual([pools.length, services.length], [1, 1]);
  });

  test('has pools, services and defence from the revision alone, whatever the own file says of them', () => {
    const text = mergedText(REVISION, `${FLEET}pools: {other: {backends: [{name: x, address: 10.9.9.9}]}}\n`);
    const { pools } = parseConfig(text, 'merged', { role: 'pools', env });
    assert.deepEqual(
      pools.map(({ name }) => name),
      ['web'],
    );
    assert.ok(text.includes('# what all have in common'));
  });

  test('has the section fleet from the own file: a revision names no other store', () => {
    const other = `${REVISION}fleet: {name: other, endpoints: ["http://192.0.2.9:2379"], operator_key: "${KEY}"}\n`;
    const text = mergedText(other, FLEET);
    assert.match(text, /name: edge/);
    assert.doesNotMatch(text, /192\.0\.2\.9/);
  });

  test('names the lines of the revision where that is wrong', () => {
    const file = own(`${FLEET}node: {name: edge-7, interface: eth0, source: 10.0.0.7}\n`);
    const text = REVISION.replace('10.1.0.11', '10.1.0.256');
    try {
      loadConfig(file, { role: 'run', env, revision: { number: 3, text } });
      assert.fail('it is wrong');
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      const wrong = 1 + text.split('\n').findIndex((line) => line.includes('10.1.0.256'));
      assert.deepEqual(
        error.problems.map(({ line, field }) => [line, field]),
        [[wrong, 'pools.web.backends[0].address']],
      );
    }
  });

  test('keeps a key of digits alone, whichever file has it', () => {
    const digits = '00112233445566778899001122334455';
    const host = 'name: edge-7, interface: eth0, source: 10.0.0.7';
    const ofHost = own(`${FLEET}node: {${host}, key: ${digits}}\n`);
    const ofRevision = own(`${FLEET}node: {${host}}\n`);
    const without = REVISION.replace('key: 00112233445566778899aabbccddeeff, ', '');
    for (const [file, text] of [
      [ofHost, without],
      [ofRevision, without.replace('engine: portable', `engine: portable, key: ${digits}`)],
    ] as const) {
      const { node } = loadConfig(file, { role: 'run', env, revision: { number: 3, text } });
      assert.equal(Buffer.from(node.key.reveal()).toString('hex'), digits);
    }
  });

  test('is the same whether the text can be cut or takes a parser', () => {
    const settings = fc.dictionary(
      fc.constantFrom('name', 'engine', 'stop_delay', 'a-b', 'list'),
      fc.oneof(
        fc.string(),
        fc.integer(),
        fc.boolean(),
        fc.array(fc.string(), { maxLength: 3 }),
        fc.constant('x\ny: z'),
      ),
    );
    const part = fc.dictionary(
      fc.constantFrom('node', 'agent', 'l7', 'announce', 'fleet', 'pools', 'services', 'defend'),
      fc.oneof({ weight: 5, arbitrary: settings }, fc.array(settings, { maxLength: 2 }), fc.string()),
    );
    fc.assert(
      fc.property(part, part, fc.boolean(), fc.boolean(), (revision, host, isQuoted, isFlow) => {
        const quoted = isQuoted ? { defaultKeyType: 'QUOTE_DOUBLE' as const } : {};
        const text = stringify(revision, { ...quoted, ...(isFlow && { collectionStyle: 'flow' as const }) });
        const own = stringify({ ...host, fleet: { name: 'edge' } });
        const parsed = mergedText(`---\n${text}`, own); // a marker takes a parser
        assert.deepEqual(parse(mergedText(text, own)), parse(parsed), text);
      }),
    );
  });

  test('is read with the last revision that was in force on the host, and messages name it', async () => {
    const file = own(
      `${FLEET}node: {name: edge-1, interface: eth0, source: 10.0.0.1, state_dir: ${state}}\n`,
    );
    assert.equal(keptRevision(file), undefined);
    await keepRevision(file, { number: 4, record: '{}', text: REVISION });
    assert.equal(keptRevision(file)?.number, 4);
    assert.equal(loadConfig(file, { role: 'run', env }).pools[0]?.name, 'web');
    await keepRevision(file, { number: 5, record: '{}', text: REVISION.replace('10.1.0.11', 'nowhere') });
    assert.throws(() => loadConfig(file, { role: 'run', env }), new RegExp(`revision 5 with ${file}:`));
  });

  test('is not read with a revision that another user could have put there', async () => {
    const open = join(directory, 'open');
    mkdirSync(open, { mode: 0o700 });
    const file = own(`${FLEET}node: {name: edge-1, state_dir: ${open}}\n`);
    await keepRevision(file, { number: 1, record: '{}', text: REVISION });
    chmodSync(open, 0o777);
    assert.equal(keptRevision(file), undefined);
    await assert.rejects(keepRevision(file, { number: 2, record: '{}', text: REVISION }), /others|write/);
  });

  test('says of a host without a revision what it waits for', () => {
    const file = own(
      `${FLEET}node: {name: edge-1, interface: eth0, source: 10.0.0.1, state_dir: ${state}/none}\n`,
    );
    const [only, ...others] = problems(() => loadConfig(file, { role: 'node', env }));
    assert.match(only ?? '', /^fleet: pools and services come from the fleet, .*"anyhop fleet apply"/);
    assert.deepEqual(
      others.filter((each) => each.startsWith('pools') || each.startsWith('services')),
      [],
    );
  });

  test('is not looked at but for the section fleet by those who only ask the store', () => {
    const { fleet } = loadConfig(own(`${FLEET}agent: {bpffs: /sys/fs/bpf}\nnode: {engine: nonsense}\n`), {
      role: 'fleet',
      env,
    });
    assert.deepEqual([fleet.name, fleet.endpoints], ['edge', ['http://127.0.0.1:2379']]);
    assert.equal(Buffer.from(fleet.operatorKey).toString('base64'), KEY);
  });

  test('names a section fleet that contradicts itself', () => {
    const of = (fields: string): string[] =>
      problems(() =>
        loadConfig(own(`fleet: {name: edge, operator_key: "${KEY}", ${fields}}\n`), { role: 'fleet', env }),
      );
    assert.match(of('endpoints: ["http://a:1", "https://b:2"]').join(), /found http beside https/);
    assert.match(
      of('endpoints: ["http://a:1"], ca_file: ca.pem').join(),
      /fleet\.ca_file: found it beside endpoints with http/,
    );
    assert.match(
      of('endpoints: ["ftp://a:1"]').join(),
      /fleet\.endpoints\[0\]: .*expected the URL of an etcd server/,
    );
    assert.match(of('endpoints: []').join(), /fleet\.endpoints: /);
    assert.match(
      problems(() =>
        loadConfig(own('fleet: {name: edge, endpoints: ["http://a:1"], operator_key: "aaaa"}\n'), {
          role: 'fleet',
          env,
        }),
      ).join(),
      /operator_key: .*expected the public key/,
    );
    assert.match(
      problems(() => loadConfig(own('pools: {}\n'), { role: 'fleet', env })).join(),
      /^fleet: missing/,
    );
  });

  test('is of a fleet when a line begins with its section, in quotes or not', () => {
    assert.deepEqual(
      ['fleet: {}', 'node: {}\nfleet:\n  name: x', '"fleet" : {}', 'pools:\n  fleet: {}', '# fleet: x'].map(
        mentionsFleet,
      ),
      [true, true, true, false, false],
    );
  });
});
