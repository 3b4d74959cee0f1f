/** What an announcer finds of the one before: rows in another table, an operator's word, and files that cannot be used. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createXdpLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { ANNOUNCED, Announcing, NONE, SOON_MS, TABLE } from './run-fixture.js';

const OTHER = { announce: { table: TABLE + 1 } };

describe('anyhop announce after another one', { skip: missingForIsolation('ethtool') }, () => {
  let lab: Announcing;
  let kept: string;
  beforeEach(async () => {
    lab = new Announcing(await createXdpLink());
    kept = join(lab.link.resources.directory, 'announce.json');
  });
  afterEach(() => lab?.link.resources.close());

  /** Of an announcer that has ended. */
  async function left(): Promise<void> {
    await lab.startNode();
    const announcer = await lab.startAnnouncer();
    await lab.waitForRows(ANNOUNCED);
    await announcer.stop();
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  }

  test('removes the rows of the table that the config named before', async () => {
    await left();
    lab.file = lab.write(OTHER);
    const announcer = await lab.startAnnouncer();
    const moved = await announcer.waitForEvent('rows_moved', SOON_MS);
    assert.match(String(moved['msg']), /removed 2 rows from table 179: announce\.table is 180 now/);
    await lab.waitForRows(NONE);
  });

  test('leaves the rows of a former table that another process owns by now', async () => {
    await left();
    const first = lab.file;
    const text = readFileSync(first, 'utf8');
    const another = join(lab.link.resources.directory, 'another.yaml');
    const socket = join(lab.link.resources.directory, 'another.sock');
    writeFileSync(another, JSON.stringify({ ...JSON.parse(text), announce: { socket } }));
    lab.file = another;
    await lab.startAnnouncer();
    lab.file = first;
    lab.write(OTHER);
    await lab.startAnnouncer();
    await delay(1500);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  });

  test('is withdrawn by command from both tables', async () => {
    await left();
    lab.file = lab.write(OTHER);
    const { status, stdout } = lab.command('--withdraw');
    assert.equal(status, 0);
    assert.match(stdout, /^removed 2 rows/);
    assert.deepEqual(await lab.rows(), NONE);
  });

  test('stays withdrawn by command when its file is of another version', async () => {
    await left();
    assert.equal(lab.command('--withdraw').status, 0);
    const value = JSON.parse(readFileSync(kept, 'utf8'));
    writeFileSync(kept, JSON.stringify({ ...value, version: 99, more: true }), { mode: 0o600 });
    const announcer = await lab.startAnnouncer();
    await announcer.waitForEvent('state_unusable', SOON_MS);
    await delay(1500);
    assert.deepEqual(await lab.rows(), NONE);
    assert.equal(lab.status().held?.by, 'withdraw');
  });

  test('starts with a file whose times no clock has, and trusts none of it', async () => {
    await left();
    const value = JSON.parse(readFileSync(kept, 'utf8'));
    writeFileSync(kept, JSON.stringify({ ...value, orphanMs: 1e300, hold: { by: 'stop', sinceMs: 1e300 } }));
    const announcer = await lab.startAnnouncer();
    const event = await announcer.waitForEvent('state_unusable', SOON_MS);
    assert.match(String(event['msg']), /its times are still to come/);
    assert.equal(lab.status().held, undefined);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  });

  test('loses its rows by command even when nothing can be kept, and the command says so', async () => {
    await left();
    // As on a full disk.
    rmSync(kept);
    mkdirSync(kept);
    const { status, stderr } = lab.command('--withdraw');
    assert.equal(status, 3, stderr);
    assert.match(
      stderr,
      /removed 2 rows, but the next "anyhop announce" will make them again: .*announce\.json/,
    );
    assert.deepEqual(await lab.rows(), NONE);
  });
});
