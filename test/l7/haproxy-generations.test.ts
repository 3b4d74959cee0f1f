/** The run directory: what is written, whose it is, what is in force, and what is removed. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Generations } from '#anyhop/l7/haproxy/generations.js';
import type { Identity } from '#anyhop/l7/haproxy/identity.js';
import { rendering, temporaryRun } from './haproxy-fixture.js';

const isRoot = process.geteuid?.() === 0;

describe('the run directory', () => {
  let place: ReturnType<typeof temporaryRun>;
  /** Any user but root does, also where HAProxy is not installed. */
  const user: Identity | undefined = isRoot ? { name: 'somebody', uid: 12345, gid: 23456 } : undefined;
  const files = { 'maps/hosts.map': 'a.example b\n', 'certs/web/0.pem': 'secret\n' };

  beforeEach(() => {
    place = temporaryRun();
  });
  afterEach(() => place.remove());

  const open = (): Promise<Generations> => Generations.open(place.run, user);

  it('holds a generation with every file, which only its owner can read', async () => {
    const generations = await open();
    const made = await generations.write(rendering('global\n  maxconn 5', files));
    assert.equal(made.directory, join(place.run, 'g1'));
    assert.equal(readFileSync(made.file, 'utf8'), 'global\n  maxconn 5\n');
    for (const [path, text] of Object.entries(files))
      assert.equal(readFileSync(join(made.directory, path), 'utf8'), text);
    for (const path of ['haproxy.cfg', ...Object.keys(files)]) {
      const { mode, uid } = lstatSync(join(made.directory, path));
      assert.equal(mode & 0o777, 0o600, path);
      assert.equal(uid, user?.uid ?? process.geteuid?.(), path);
    }
  });

  it("lets HAProxy's user change nothing but its sockets", { skip: !isRoot && 'needs root' }, async () => {
    const generations = await open();
    const { directory } = await generations.write(rendering('global', files));
    for (const [path, mode] of [
      [place.run, 0o710],
      [directory, 0o750],
      [join(directory, 'certs/web'), 0o750],
    ] as const) {
      const status = lstatSync(path);
      assert.deepEqual([status.uid, status.gid, status.mode & 0o7777], [0, user!.gid, mode], path);
    }
    const sockets = lstatSync(join(place.run, 'sockets'));
    assert.deepEqual([sockets.uid, sockets.mode & 0o7777], [user!.uid, 0o700]);
  });

  it('names the generation in force, and goes back to the former one', async () => {
    const generations = await open();
    const [first, second] = [
      await generations.write(rendering('one')),
      await generations.write(rendering('two')),
    ];
    assert.equal(generations.current(), undefined);
    await generations.flip(first.number);
    assert.equal(readFileSync(generations.currentFile, 'utf8'), 'one\n');
    await generations.flip(second.number);
    assert.equal(readFileSync(generations.currentFile, 'utf8'), 'two\n');
    await generations.flip(first.number);
    assert.equal(readFileSync(generations.currentFile, 'utf8'), 'one\n');
    assert.equal(generations.current(), first.number);
  });

  it('always names a whole generation while it changes', async () => {
    const generations = await open();
    const numbers = [];
    for (const text of ['a', 'b']) numbers.push((await generations.write(rendering(text))).number);
    await generations.flip(numbers[0]!);
    let isDone = false;
    const reader = (async () => {
      while (!isDone) {
        assert.match(readFileSync(generations.currentFile, 'utf8'), /^[ab]\n$/);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let i = 0; i < 200; i++) await generations.flip(numbers[i % 2]!);
    isDone = true;
    await reader;
  });

  it('keeps the one in force and those that are asked for, and removes the others', async () => {
    const generations = await open();
    for (const text of ['1', '2', '3', '4']) await generations.write(rendering(text, files));
    await generations.flip(3);
    await generations.removeAllBut(new Set([1]));
    assert.deepEqual(readdirSync(place.run).sort(), ['current', 'g1', 'g3', 'sockets']);
  });

  it('is taken over from a process that was killed, whose numbers are not used again', async () => {
    const former = await open();
    for (const text of ['1', '2']) await former.write(rendering(text));
    await former.flip(1);
    symlinkSync('g2', join(place.run, 'current.999999999-0123456789abcdef.tmp'));
    mkdirSync(join(place.run, 'g7'));
    const next = await open();
    assert.equal(existsSync(join(place.run, 'current.999999999-0123456789abcdef.tmp')), false);
    assert.equal(next.current(), 1);
    const made = await next.write(rendering('8'));
    assert.equal(made.number, 8);
    await next.flip(8);
    await next.removeAllBut(new Set());
    assert.deepEqual(readdirSync(place.run).sort(), ['current', 'g8', 'sockets']);
  });

  it('is refused where others can write, and where its sockets would have too long a path', async () => {
    mkdirSync(place.run);
    chmodSync(place.run, 0o777);
    await assert.rejects(open(), { code: 'ERR_HAPROXY', message: /can be written by others/ });
    const deep = join(dirname(place.run), 'x'.repeat(90));
    await assert.rejects(Generations.open(deep, user), { code: 'ERR_HAPROXY', message: /too long a name/ });
    assert.equal(existsSync(deep), false);
  });

  it('takes no file outside of the generation, and leaves nothing of one that fails', async () => {
    const generations = await open();
    for (const name of ['../x', '/etc/x', 'a/../../x', '.x', '', 'a//b', 'x\0'])
      await assert.rejects(generations.write(rendering('', { [name]: '' })), { name: 'RangeError' }, name);
    await assert.rejects(generations.write(rendering('', { 'haproxy.cfg': '' })), { code: 'ERR_HAPROXY' });
    assert.deepEqual(readdirSync(place.run).sort(), ['sockets']);
  });
});
