/** `anyhop l7 key` and `anyhop l7 thumbprint`, run as a user runs them. */
import assert from 'node:assert/strict';
import { type StdioOptions, spawnSync } from 'node:child_process';
import { generateKeyPairSync, hkdfSync } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { thumbprintOf } from '#anyhop/l7/thumbprint.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const SECRET = '00112233445566778899aabbccddeeff';
const CONFIG = `node: {interface: eth0, source: 10.0.0.1, key: ${SECRET}}
pools: {web: {backends: [{name: a, address: 10.1.0.1}]}}
services: [{name: web, vip: 198.51.100.1, protocol: tcp, port: 80, pool: web}]
`;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-l7-key-'));
});
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function anyhop(args: string[], stdout: 'pipe' | number = 'pipe') {
  const stdio: StdioOptions = ['ignore', stdout, 'pipe'];
  return spawnSync(process.execPath, [MAIN, 'l7', ...args], { encoding: 'utf8', stdio, env: {} });
}

describe('anyhop l7 key', () => {
  it("prints 32 bytes that follow from the fleet's secret, and nothing else into a pipe", () => {
    const { status, stdout, stderr } = anyhop(['key', '-c', write('a.yaml', CONFIG)]);
    const expected = hkdfSync('sha256', Buffer.from(SECRET, 'hex'), '', 'anyhop l7 v1', 32);
    assert.deepEqual([status, stderr], [0, '']);
    assert.equal(stdout, `${Buffer.from(expected).toString('hex')}\n`);
  });

  it('warns when others can read the file that it is written to, and only then', () => {
    const config = write('b.yaml', CONFIG);
    const open = anyhop(['key', '-c', config], openSync(join(folder, 'open'), 'w', 0o644));
    assert.equal(open.stderr, 'Other users can read the file with this secret: run chmod 600 on it.\n');
    const own = anyhop(['key', '-c', config], openSync(join(folder, 'own'), 'w', 0o600));
    assert.deepEqual([own.status, own.stderr], [0, '']);
    assert.equal(readFileSync(join(folder, 'own'), 'utf8'), readFileSync(join(folder, 'open'), 'utf8'));
  });

  it('needs the secret of the fleet', () => {
    const config = write('c.yaml', CONFIG.replace(/, key: \w+/, ''));
    const { status, stdout, stderr } = anyhop(['key', '-c', config]);
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(
      stderr,
      /: node\.key_file: missing; expected the path of the file with the secret of the fleet/,
    );
  });
});

describe('anyhop l7 thumbprint', () => {
  it('prints the thumbprint of the key in a file', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = String(privateKey.export({ type: 'sec1', format: 'pem' }));
    const { status, stdout, stderr } = anyhop(['thumbprint', write('account.key', pem)]);
    assert.deepEqual([status, stderr, stdout], [0, '', `${thumbprintOf(pem)}\n`]);
  });

  it('says what is wrong with a file', () => {
    const nowhere = join(folder, 'nowhere');
    const missing = anyhop(['thumbprint', nowhere]);
    assert.equal(missing.stderr, `anyhop: "${nowhere}": no such file; check the path\n`);
    const empty = anyhop(['thumbprint', write('empty.key', '')]);
    assert.match(
      empty.stderr,
      /holds no key that can be read; expected a key in PEM, RSA or EC \(P-256, P-384\)/,
    );
    assert.deepEqual([missing.status, empty.status], [2, 2]);
  });
});

describe('anyhop l7', () => {
  it('lists its commands, and ends with 2 for one that is none, or a wrong option', () => {
    const help = anyhop(['--help']);
    assert.equal(help.status, 0);
    for (const name of ['run', 'status', 'drain', 'key', 'thumbprint'])
      assert.match(help.stdout, new RegExp(`^  ${name} .* {2}\\w`, 'm'));
    for (const args of [['nothing'], ['key', '--nothing'], []])
      assert.equal(anyhop(args).status, 2, args.join(' '));
  });
});
