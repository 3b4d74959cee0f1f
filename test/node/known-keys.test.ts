/** Secrets that a node keeps over a restart, as long as connections need them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { keyFingerprint } from '#anyhop/config/key-fingerprint.js';
import { Secret } from '#anyhop/config/secret.js';
import { KnownKeys } from '#anyhop/node/known-keys.js';
import { changeKey, startChanges } from '#anyhop/pool/change.js';
import { memoryOf } from '#anyhop/pool/membership.js';

const [ONE, TWO, THREE] = ['00', 'ab', 'cd'].map((byte) => byte.repeat(16));
const secret = (digits: string): Secret => new Secret(Buffer.from(digits, 'hex'));
const idOf = (digits: string): string => keyFingerprint(secret(digits).reveal());

/** A pool whose key changed from the first to the second, if there are two. */
function pools(...digits: readonly string[]) {
  const start = startChanges({ members: [] }, 1000, 0);
  const changes = digits.reduce((before, each, i) => changeKey(before, idOf(each), i), start);
  return new Map([['web', memoryOf(changes)]]);
}

describe('the secrets of a node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'anyhop-keys-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'edge-1-keys.json');

  it('are kept while pools refer to them, for the node alone, and no others', async () => {
    const keys = new KnownKeys(file);
    assert.equal(keys.read(), undefined, 'there is none');
    keys.add({ key: secret(ONE), otherKeys: [secret(THREE)] });
    keys.add({ key: secret(TWO), otherKeys: [] });
    await keys.keep(pools(ONE, TWO));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')).sort(), [ONE, TWO]);
    const next = new KnownKeys(file);
    assert.equal(next.read(), undefined);
    assert.deepEqual(
      [ONE, TWO, THREE].map((each) => next.of(idOf(each)) !== undefined),
      [true, true, false],
    );
    await next.keep(pools(TWO));
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), [TWO]);
  });

  it('are none where the file is of no use', () => {
    for (const text of ['', '{}', '["xyz"]', JSON.stringify(Array(65).fill(ONE))]) {
      writeFileSync(file, text, { mode: 0o600 });
      const keys = new KnownKeys(file);
      assert.equal(keys.read(), 'it holds something else than secrets in hexadecimal digits', text);
      assert.equal(keys.of(idOf(ONE)), undefined, text);
    }
    assert.match(new KnownKeys(folder).read()!, /not a regular file/);
  });

  it('are told by fingerprint: the one in force, and all that the key file has by now', () => {
    const keyFile = join(folder, 'key');
    const keys = new KnownKeys(file);
    writeFileSync(keyFile, `${ONE}\n`);
    const held = () => keys.held({ key: secret(ONE), keyFile });
    assert.deepEqual(held(), { inForce: idOf(ONE), held: [idOf(ONE)] });
    writeFileSync(keyFile, `${ONE}\n${TWO}\nno secret\n`);
    assert.deepEqual(held().held, [idOf(ONE), idOf(TWO)].sort());
    rmSync(keyFile);
    assert.deepEqual(held().held, [idOf(ONE)]);
    assert.deepEqual(keys.held({ key: secret(TWO), keyFile: undefined }).held, [idOf(TWO)]);
  });
});
