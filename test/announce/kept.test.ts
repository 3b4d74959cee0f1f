/** What one announcer keeps for the next. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Keeper, type Kept, keptPath, readKept, socketOfKept, writeKept } from '#anyhop/announce/kept.js';
import { createLog } from '#anyhop/core/log.js';

const KEPT: Kept = {
  table: 179,
  namespace: 4026531840,
  stop: { forwardsOn: true, until: '2026-01-01T00:00:00.000Z', untilMs: 5 },
  forwarding: {
    engine: { name: 'xdp', interface: { name: 'eth0', index: 2 }, program: 57 },
    vips: { '192.0.2.1': ['web'], '2001:db8::1': ['web'] },
    hops: {
      web: [
        { address: '10.0.0.1', interface: { name: 'eth0', index: 2 }, mac: '02:00:00:00:00:01', vlan: 7 },
      ],
    },
  },
  orphanMs: 12.5,
  hold: { by: 'withdraw', sinceMs: 3 },
};

describe('what an announcer keeps', () => {
  let directory: string;
  let socket: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'anyhop-kept-'));
    socket = join(directory, 'edge-1-announce.sock');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const rewrite = (change: (value: Record<string, unknown>) => void): void => {
    const value = JSON.parse(readFileSync(keptPath(socket), 'utf8'));
    change(value);
    writeFileSync(keptPath(socket), JSON.stringify(value));
  };

  test('is read as it was written, by its user alone', async () => {
    assert.equal(readKept(socket), undefined);
    await writeKept(socket, KEPT);
    assert.deepEqual(readKept(socket), KEPT);
    assert.equal(statSync(keptPath(socket)).mode & 0o777, 0o600);
    assert.equal(socketOfKept(keptPath(socket)), socket);
    assert.equal(socketOfKept(join(directory, 'edge-1.json')), undefined);
  });

  test('is nothing after the machine has started anew, but for the word of an operator', async () => {
    await writeKept(socket, KEPT);
    rewrite((value) => (value['boot'] = 'another'));
    assert.deepEqual(readKept(socket), {
      table: 179,
      namespace: 4026531840,
      hold: { by: 'withdraw', sinceMs: 0 },
    });
    await writeKept(socket, { ...KEPT, hold: { by: 'stop', sinceMs: 3 } });
    rewrite((value) => (value['boot'] = 'another'));
    assert.equal(readKept(socket), undefined);
  });

  test('is refused when it is cut off, of another version, or holds what is no address', async () => {
    await writeKept(socket, KEPT);
    const whole = readFileSync(keptPath(socket), 'utf8');
    for (const text of [
      whole.slice(0, 100),
      whole.replace('"version":1', '"version":2'),
      whole.replace('192.0.2.1', '192.0.2.999'),
      whole.replace('02:00:00:00:00:01', 'nothing'),
    ]) {
      assert.notEqual(text, whole);
      writeFileSync(keptPath(socket), text);
      assert.throws(() => readKept(socket));
    }
  });

  test('is written once for what is the same, and the newest is what stays', async () => {
    const keeper = new Keeper(socket, createLog('silent'));
    await keeper.keep(KEPT);
    const { ino } = statSync(keptPath(socket));
    await keeper.keep({ ...KEPT, forwarding: structuredClone(KEPT.forwarding!) });
    assert.equal(statSync(keptPath(socket)).ino, ino);
    for (let i = 0; i < 20; i++) void keeper.keep({ ...KEPT, orphanMs: i });
    await keeper.idle();
    assert.equal(readKept(socket)?.orphanMs, 19);
  });
});
