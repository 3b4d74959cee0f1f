/** The secret of the fleet shows nowhere: not in a config that is printed, not in a message, not when it is wrong. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { keyFingerprint } from '#anyhop/config/key-fingerprint.js';
import { loadConfig } from '#anyhop/config/load.js';
import type { Secret } from '#anyhop/config/secret.js';
import { join, KEY, NODE, parse, problemsOf } from './fixture.js';

let folder: string;
before(() => {
  folder = mkdtempSync(joinPath(tmpdir(), 'anyhop-secret-'));
});
after(() => rmSync(folder, { recursive: true }));

/** Neither the digits nor the bytes in any of the usual writings. */
function assertHidden(text: string): void {
  for (let start = 0; start + 8 <= KEY.length; start++) {
    assert.ok(!text.toLowerCase().includes(KEY.slice(start, start + 8)), text);
  }
  const bytes = Buffer.from(KEY, 'hex');
  for (const form of [bytes.toString('base64').slice(0, 8), '192, 255, 238', '192,255,238', 'c0 ff ee']) {
    assert.ok(!text.includes(form), text);
  }
}

function nodeWith(line: string): string {
  return join({ node: NODE.replace(/ {2}key: .*/, () => line) });
}

describe('the secret', () => {
  it('does not show in a config that is printed in any way', () => {
    const config = parse(join({}));
    const forms = [
      JSON.stringify(config),
      inspect(config, { depth: null, showHidden: true }),
      inspect(config, { depth: null, customInspect: false }),
      String(config.node.key),
      `${config.node.key}`,
      inspect(Object.entries(config.node.key)),
      inspect(structuredClone({ ...config.node, key: { ...config.node.key } })),
    ];
    for (const form of forms) assertHidden(form);
    assert.equal(Buffer.from(config.node.key.reveal()).toString('hex'), KEY);
  });

  it('does not show when it is wrong, or stands in the wrong place', () => {
    const lines = [
      `  key: ${KEY}0`,
      `  key: ${KEY}g0`,
      `  key: "${KEY.slice(0, 16)}"`,
      `  key: "${KEY} ${KEY}"`,
      `  key: [${KEY}]`,
      `  key: {a: ${KEY}}`,
      `  key: {${KEY}: a}`,
      `  key: !x ${KEY}`,
      `  key:${KEY}`,
      `  key: "${KEY}`,
      `  key: '${KEY}\n  x: y`,
      `  key: @${KEY}`,
      `  key: *${KEY}`,
      `  key: &${KEY}`,
      `  key: %${KEY}`,
      `  key: |\n  ${KEY}`,
      `  key: ${KEY}: ${KEY}`,
      `  key ${KEY}`,
      `  ${KEY}`,
      `  ${KEY}: 1`,
      `  key: ${KEY}\n  key: ${KEY}`,
      `  keey: ${KEY}`,
      `  key_file: ${KEY}`,
      `  key_file: key: ${KEY}`,
      `  - ${KEY}`,
      `  key: "\\q${KEY}"`,
      `  engine: ${KEY}`,
      `  name: ${KEY}${KEY}`,
      `  name: "x ${KEY}"`,
    ];
    for (const line of lines) {
      const problems = problemsOf(nodeWith(line));
      assert.ok(problems.length > 0, line);
      assertHidden(JSON.stringify(problems));
    }
  });

  it('does not show when YAML takes it for a number', () => {
    const digits = '98765432109876543210987654321098';
    for (const line of [
      `  key: ${digits}`,
      `  key: 0${digits}`,
      `  key: 1e${digits.slice(2)}`,
      `  keey: 0${digits.slice(0, 16)}`,
    ]) {
      const problems = problemsOf(nodeWith(line));
      assert.ok(problems.length > 0, line);
      assert.ok(!/9876543|0987654|9\.87/.test(JSON.stringify(problems)), JSON.stringify(problems));
    }
  });

  it('is told by its length when it is wrong', () => {
    const messageOf = (line: string) => problemsOf(nodeWith(line))[0].message;
    assert.match(
      messageOf('  key: c0ffee'),
      /^found 6 hexadecimal digits; expected an even number of hexadecimal digits, 32/,
    );
    assert.match(
      messageOf('  key: "not a secret"'),
      /^found 12 characters, not all of them hexadecimal digits; expected/,
    );
    assert.match(messageOf(`  key: ${'0'.repeat(1026)}x`), /^found 1027 characters/);
  });

  it('comes from a file beside the config, with white space around it', () => {
    const file = joinPath(folder, 'anyhop.yaml');
    writeFileSync(file, nodeWith('  key_file: fleet.key'), { mode: 0o644 });
    writeFileSync(joinPath(folder, 'fleet.key'), `\n  ${KEY.toUpperCase()} \n\n`, { mode: 0o600 });
    const config = loadConfig(file, { role: 'run', env: {} });
    assert.equal(Buffer.from(config.node.key.reveal()).toString('hex'), KEY);
    assert.deepEqual(config.warnings, []);
  });

  it('is one of several in its file, which key_id names', () => {
    const file = joinPath(folder, 'anyhop.yaml');
    const [one, other] = [KEY, 'ab'.repeat(16)];
    const [first, second] = [one, other].map((digits) => keyFingerprint(Buffer.from(digits, 'hex')));
    writeFileSync(joinPath(folder, 'two.key'), `${one}\n\n ${other}\r\n${one}\n`, { mode: 0o600 });
    const read = (line: string) => {
      writeFileSync(file, nodeWith(`  key_file: two.key${line}`), { mode: 0o600 });
      return loadConfig(file, { role: 'run', env: {} }).node;
    };
    const { key, otherKeys } = read(`\n  key_id: "${second}"`);
    assert.deepEqual(
      [key, ...otherKeys].map((each) => Buffer.from(each.reveal()).toString('hex')),
      [other, one],
    );
    const has = `two.key" has ${first}, ${second}; expected the fingerprint of`;
    for (const [line, message] of [
      ['', `node.key_id: missing, and "${folder}/${has} the one that is in force`],
      [
        '\n  key_id: "0000000000000000"',
        `node.key_id: found 0000000000000000, and "${folder}/${has} a secret that is there`,
      ],
    ] as const)
      assert.throws(
        () => read(line),
        (error: Error) => {
          assertHidden(error.message);
          assert.ok(error.message.includes(message), error.message);
          return true;
        },
      );
  });

  it('is, in a fleet that has not said which of several, the one in force for its node, and the first for who looks', () => {
    const file = joinPath(folder, 'anyhop.yaml');
    const secrets = [KEY, 'ab'.repeat(16)];
    const [first, second] = secrets.map((digits) => keyFingerprint(Buffer.from(digits, 'hex')));
    writeFileSync(joinPath(folder, 'two.key'), secrets.join('\n'), { mode: 0o600 });
    const store = `fleet: {name: edge, endpoints: ['http://127.0.0.1:2379'], operator_key: '${'A'.repeat(43)}='}\n`;
    writeFileSync(file, store + nodeWith('  key_file: two.key'), { mode: 0o600 });
    const idOf = ({ node }: { node: { key: Secret } }) => keyFingerprint(node.key.reveal());
    const run = (keyInForce: string | undefined) => loadConfig(file, { role: 'run', env: {}, keyInForce });
    assert.equal(idOf(run(first)), first);
    assert.equal(idOf(run(second)), second);
    for (const id of [undefined, '0000000000000000'])
      assert.throws(() => run(id), /node.key_id: missing, and .* the one that is in force/);
    const looks = loadConfig(file, { role: 'flow', env: {} });
    assert.equal(idOf(looks), first);
    assert.deepEqual(
      looks.warnings.map(({ field, message }) => `${field}: ${message}`),
      [`node.key_id: missing, and "${folder}/two.key" has ${first}, ${second}; the first one is taken here`],
    );
  });

  it('brings a warning when its file is open to every user', () => {
    const file = joinPath(folder, 'anyhop.yaml');
    const key = joinPath(folder, 'open.key');
    writeFileSync(file, nodeWith('  key_file: open.key'), { mode: 0o644 });
    writeFileSync(key, KEY);
    for (const mode of [0o644, 0o604, 0o601]) {
      chmodSync(key, mode);
      const [warning, ...others] = loadConfig(file, { role: 'run', env: {} }).warnings;
      assert.deepEqual(
        [warning.line, warning.column, warning.field, others.length],
        [5, 13, 'node.key_file', 0],
      );
      assert.match(warning.message, /every user can access it; run chmod 600 on it$/);
    }
    chmodSync(key, 0o640);
    assert.deepEqual(loadConfig(file, { role: 'run', env: {} }).warnings, []);
  });

  it('brings a warning when it stands in a config that is open to every user', () => {
    const file = joinPath(folder, 'inline.yaml');
    writeFileSync(file, join({}));
    chmodSync(file, 0o644);
    const { warnings } = loadConfig(file, { role: 'run', env: {} });
    assert.deepEqual(
      warnings.map(({ line, field }) => [line, field]),
      [[5, 'node.key']],
    );
    chmodSync(file, 0o600);
    assert.deepEqual(loadConfig(file, { role: 'run', env: {} }).warnings, []);
  });

  it('is refused from a file that is missing, a directory, too large, or holds anything else, and does not show', () => {
    const config = joinPath(folder, 'anyhop.yaml');
    const content: Record<string, readonly [content: string | undefined, message: RegExp]> = {
      'none.key': [undefined, /none\.key": no such file; check the path$/],
      '.': [undefined, /this is a directory; expected a file$/],
      'empty.key': ['', /holds 0 hexadecimal digits; expected an even number/],
      'odd.key': [`${KEY}0`, /holds 33 hexadecimal digits; expected an even number/],
      'text.key': [`key=${KEY}`, /holds 36 characters, not all of them hexadecimal digits/],
      'line.key': [
        `${KEY}\n${KEY} x`,
        /holds 34 characters, not all of them hexadecimal digits in one of its lines/,
      ],
      'large.key': ['c0ffee11'.repeat(1000), /the file is too large; expected 2048 bytes at most/],
    };
    for (const [name, [text, message]] of Object.entries(content)) {
      if (text !== undefined) writeFileSync(joinPath(folder, name), text, { mode: 0o600 });
      writeFileSync(config, nodeWith(`  key_file: ${name}`));
      assert.throws(
        () => loadConfig(config, { role: 'run', env: {} }),
        (error: Error) => {
          assertHidden(error.message);
          assert.match(error.message, /anyhop\.yaml:5:13: node\.key_file: /);
          assert.match(error.message, message);
          return true;
        },
      );
    }
  });
});
