/** What outlives a process: read back as it was, never half, and no reason to fail when it cannot be kept. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, it } from 'node:test';
import { Secret } from '#anyhop/config/secret.js';
import { createLog } from '#anyhop/core/log.js';
import { lastGoodConfig, StateStore } from '#anyhop/node/state-store.js';
import { startChanges } from '#anyhop/pool/change.js';
import type { PoolMemory } from '#anyhop/pool/membership.js';
import { missingForIsolation } from '../isolation.js';
import { clocksAt, member } from '../pool/change-fixture.js';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-state-'));
after(() => rmSync(directory, { recursive: true }));
const log = createLog('silent');
const KEY = new Secret(Buffer.from('ab'.repeat(16), 'hex'));
let count = 0;
const fresh = (): string => join(directory, String(count++));

const storeOf = (place: string, node: string, at = clocksAt(6000)): StateStore =>
  new StateStore(place, node, log, () => at);

function memory(weight: number): ReadonlyMap<string, PoolMemory> {
  const changes = startChanges({ members: [member('a', { weight })] }, 1000, 5000);
  const overrides = [{ backend: 'a', state: 'draining' as const, sinceMs: 10 }];
  const agentDrains = [{ address: '10.1.0.97', isAsked: true }];
  return new Map([['web', { changes, overrides, agentDrains, drainingSinceMs: { a: 10 } }]]);
}

describe('the state of a node', () => {
  it('is read back as it was written, by its owner alone, and leaves nothing beside it', async () => {
    const place = fresh();
    const store = storeOf(place, 'edge-1');
    assert.equal((await store.read()).size, 0);
    await store.write(memory(1));
    assert.deepEqual(await storeOf(place, 'edge-1').read(), memory(1));
    assert.equal((await storeOf(place, 'edge-2').read()).size, 0, 'of another node');
    assert.deepEqual(readdirSync(place), ['edge-1.json']);
    assert.equal(statSync(join(place, 'edge-1.json')).mode & 0o077, 0);
    assert.equal(statSync(place).mode & 0o077, 0);
  });

  it('is kept with both clocks, so that what was set while the process ran is no time that passed', async () => {
    const place = fresh();
    await storeOf(place, 'edge-1', { nowMs: 6000, wallMs: 606_000 }).write(memory(1));
    const read = await storeOf(place, 'edge-1', { nowMs: 606_300, wallMs: 606_300 }).read();
    assert.equal(read.get('web')?.changes.nowMs, 605_000);
    assert.equal(read.get('web')?.drainingSinceMs['a'], 600_010);
  });

  it('is the last of many writes at once', async () => {
    const store = storeOf(fresh(), 'edge-1');
    await Promise.all([1, 2, 3, 4, 5].map((weight) => store.write(memory(weight))));
    assert.deepEqual(await store.read(), memory(5));
  });

  it('is set aside when it cannot be used, and the node starts without', async () => {
    const place = fresh();
    mkdirSync(place, { mode: 0o700 });
    writeFileSync(join(place, 'edge-1.json'), '{"version":1,"pools":{"web":');
    const store = storeOf(place, 'edge-1');
    assert.equal((await store.read()).size, 0);
    assert.deepEqual(readdirSync(place), ['edge-1.json.bad']);
    await store.write(memory(1));
    assert.deepEqual(await store.read(), memory(1));
  });

  it('costs the memory alone when it cannot be written', async () => {
    const place = fresh();
    writeFileSync(place, 'a file where a directory should be');
    const store = storeOf(place, 'edge-1');
    await store.write(memory(1));
    await store.keepConfig('/etc/anyhop/anyhop.yaml', 'pools: {}', KEY);
    assert.equal(readFileSync(place, 'utf8'), 'a file where a directory should be');
    rmSync(place);
    await store.write(memory(2));
    assert.deepEqual(await store.read(), memory(2), 'once the place is mended, all is kept again');
  });

  it('has no text that two at once have written, and nothing that a killed process left half written', async () => {
    const place = fresh();
    const store = storeOf(place, 'edge-1');
    const texts = ['a', 'b', 'c'].map((letter) => `${letter.repeat(200_000)}\n`);
    await Promise.all(texts.map((text) => store.keepConfig('/etc/a.yaml', text, KEY)));
    assert.equal(lastGoodConfig(place, '/etc/a.yaml')?.text, texts[2]);
    const { pid } = spawnSync('true');
    writeFileSync(join(place, `edge-1.json.${pid}-0123456789abcdef.tmp`), 'half');
    await store.read();
    assert.deepEqual(
      readdirSync(place).filter((name) => name.endsWith('.tmp')),
      [],
    );
  });

  it('has the last good text of each config file', async () => {
    const place = fresh();
    const store = storeOf(place, 'edge-1');
    const [one, other] = [join(directory, 'one.yaml'), join(directory, 'other.yaml')];
    assert.equal(lastGoodConfig(place, one), undefined);
    await store.keepConfig(one, 'one: 1', KEY);
    await store.keepConfig(other, 'other: 1', KEY);
    await store.keepConfig(one, 'one: 2', KEY);
    assert.equal(lastGoodConfig(place, one)?.text, 'one: 2');
    assert.deepEqual(lastGoodConfig(place, one)?.key.reveal(), KEY.reveal());
    assert.equal(lastGoodConfig(place, other)?.text, 'other: 1');
    for (const name of readdirSync(place)) assert.equal(statSync(join(place, name)).mode & 0o077, 0, name);
  });

  const isolation = missingForIsolation('unshare', 'mount');
  it('leaves no older copy where a file is looked for that does not say where', { skip: isolation }, () => {
    // In a mount namespace of its own: the default place is that of the machine.
    const script = `
      import { Secret } from '#anyhop/config/secret.js';
      import { StateStore, lastGoodConfig } from '#anyhop/node/state-store.js';
      import { createLog } from '#anyhop/core/log.js';
      const key = new Secret(Buffer.from('ab'.repeat(16), 'hex'));
      const keep = (place, text) =>
        new StateStore(place, 'edge-1', createLog('silent'), () => ({ nowMs: 1, wallMs: 1 })).keepConfig('/etc/a.yaml', text, key);
      await keep('/var/lib/anyhop', 'an hour ago');
      await keep('/var/lib/elsewhere', 'now');
      const texts = ['/var/lib/anyhop', '/var/lib/elsewhere'].map((place) => lastGoodConfig(place, '/etc/a.yaml')?.text ?? null);
      console.log(JSON.stringify(texts));`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const command = 'mount -t tmpfs none /var/lib && exec "$@"';
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', command, 'sh', ...node], {
      encoding: 'utf8',
    });
    assert.deepEqual(JSON.parse(stdout || 'null'), [null, 'now'], stderr);
  });

  it('has it by the path that was named, whatever a deployment has switched on it since', async () => {
    const place = fresh();
    const store = storeOf(place, 'edge-1');
    const releases = fresh();
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(releases, version), { recursive: true });
      writeFileSync(join(releases, version, 'anyhop.yaml'), version);
    }
    const current = join(releases, 'current');
    const switchTo = (version: string): void => {
      rmSync(current, { force: true });
      symlinkSync(version, current);
    };
    const file = join(current, 'anyhop.yaml');
    switchTo('v1');
    await store.keepConfig(file, 'good: 1', KEY);
    for (const version of ['v2', 'gone']) {
      switchTo(version);
      assert.equal(lastGoodConfig(place, file)?.text, 'good: 1', version);
      assert.equal(lastGoodConfig(place, relative('', file))?.text, 'good: 1', 'from where the node starts');
    }
    switchTo('v2');
    await store.keepConfig(file, 'good: 2', KEY);
    assert.equal(lastGoodConfig(place, file)?.text, 'good: 2');
    assert.equal(readdirSync(place).length, 1, 'no deployment leaves a copy behind');
  });

  it('is neither read from nor written to a directory that others can write, and the error says what to do', async () => {
    const place = fresh();
    mkdirSync(place);
    writeFileSync(join(place, 'edge-1.json'), 'not even JSON');
    for (const mode of [0o777, 0o1777, 0o775]) {
      chmodSync(place, mode);
      const refused = {
        code: 'ERR_STATE_FILE',
        message: new RegExp(
          `^${place} can be written by others than its owner \\(mode ${mode.toString(8)}\\)$`,
        ),
        hint: `As root: chmod go-w ${place}, or name another directory by node.state_dir.`,
      };
      const store = storeOf(place, 'edge-1');
      await assert.rejects(store.read(), refused);
      assert.throws(() => lastGoodConfig(place, '/etc/a.yaml'), refused);
      await store.write(memory(1));
      await store.keepConfig('/etc/a.yaml', 'pools: {}', KEY);
      assert.match(store.problem ?? '', refused.message);
      assert.deepEqual(readdirSync(place), ['edge-1.json']);
    }
    chmodSync(place, 0o755);
    await storeOf(place, 'edge-1').write(memory(1));
  });

  it('is no pipe and no link: a start does not wait for one, and what one leads to is not touched', async () => {
    const place = fresh();
    mkdirSync(place, { mode: 0o700 });
    const [file, victim] = [join(place, 'edge-1.json'), join(place, 'victim')];
    const copy = join(fresh(), '..', 'unused');
    for (const make of [() => spawnSync('mkfifo', [file]), () => symlinkSync(victim, file)]) {
      writeFileSync(victim, 'precious');
      make();
      const store = storeOf(place, 'edge-1');
      assert.equal((await store.read()).size, 0);
      await store.write(memory(1));
      assert.deepEqual(await store.read(), memory(1));
      assert.equal(readFileSync(victim, 'utf8'), 'precious');
      rmSync(file);
    }
    const store = storeOf(place, 'edge-1');
    await store.keepConfig(copy, 'pools: {}', KEY);
    const kept = join(place, readdirSync(place).find((name) => name.startsWith('config-'))!);
    rmSync(kept);
    spawnSync('mkfifo', [kept]);
    assert.equal(lastGoodConfig(place, copy), undefined);
  });

  it('passes no file that somebody has put where it is written first', async () => {
    const place = fresh();
    const store = storeOf(place, 'edge-1');
    await store.write(memory(1));
    const seen = new Set<string>();
    const watcher = watch(place, (_, name) => name?.endsWith('.tmp') && seen.add(name));
    try {
      for (let weight = 2; weight < 6; weight++) await store.write(memory(weight));
      const deadline = Date.now() + 5000;
      while (seen.size < 4 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 5));
    } finally {
      watcher.close();
    }
    assert.equal(seen.size, 4, 'each write has a name of its own');
    for (const name of seen) assert.match(name, /^edge-1\.json\.\d+-[0-9a-f]{16}\.tmp$/);
  });
});
