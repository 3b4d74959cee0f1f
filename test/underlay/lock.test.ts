/** The lock on an interface: one holder, whatever other users do; gone with its holder; the interface's own, in its own namespace. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

const PROGRAM = fileURLToPath(new URL('./lock-process.js', import.meta.url));
const NOBODY = 65534;
const TEST_TIMEOUT_MS = 60_000;
/** A /run of the lab's own, which all its processes share. */
const IN_RUN = 'mount --bind "$0" /run && exec "$@"';

describe('the lock on an interface', { skip: missingForIsolation('setpriv', 'unshare') }, () => {
  let resources: Resources;
  let namespace: string;
  let other: string;
  const held: ChildProcess[] = [];
  beforeEach(async () => {
    resources = new Resources();
    namespace = resources.addNamespace('lock');
    other = resources.addNamespace('other');
    for (const each of [namespace, other])
      await run(['ip', '-n', each, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth9']);
    spawnSync('chmod', ['755', resources.directory]);
  });
  afterEach(async () => {
    for (const each of held.splice(0)) each.kill('SIGKILL');
    await resources?.close();
  });

  interface Attempt {
    readonly child: ChildProcess;
    readonly said: string;
  }
  const inside = (where: string, argv: readonly string[]): string[] =>
    inNamespace(where, ['sh', '-c', IN_RUN, resources.directory, ...argv]);
  /** Says how it went; one that has the lock keeps it. */
  async function lock(
    link = 'eth0',
    { where = namespace, how = 'lockInterface', as = [] as string[] } = {},
  ): Promise<Attempt> {
    const [program = '', ...args] = inside(where, [...as, process.execPath, PROGRAM, how, 'run', link]);
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    held.push(child);
    const [said] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    return { child, said };
  }
  const files = (): string =>
    spawnSync('find', [resources.directory, '-name', '*.lock'], { encoding: 'utf8' }).stdout;
  const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

  test('has one holder, who is named, until that one gives it back', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const first = await lock();
    assert.equal(first.said, 'locked');
    const second = await lock();
    assert.match(second.said, /another "anyhop run" runs on interface eth0 \| Stop it first \(process \d+\)/);
    assert.ok(second.said.includes(String(first.child.pid)));
    first.child.stdin!.end();
    await once(first.child, 'exit');
    assert.equal(files(), '', 'nothing is left behind');
    assert.equal((await lock()).said, 'locked');
  });

  test('is free again when its holder is killed', { timeout: TEST_TIMEOUT_MS }, async () => {
    for (let i = 0; i < 3; i++) {
      const { child, said } = await lock();
      assert.equal(said, 'locked');
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  test('goes to one of many who want it at once', { timeout: TEST_TIMEOUT_MS }, async () => {
    const said = (await Promise.all(Array.from({ length: 6 }, () => lock()))).map((each) => each.said);
    assert.deepEqual(said.filter((each) => each === 'locked').length, 1, said.join('\n'));
  });

  test('belongs to the interface: not to one of the same name elsewhere, and to the same one after a rename', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    assert.equal((await lock()).said, 'locked');
    assert.equal((await lock('eth9')).said, 'locked');
    await run(['ip', '-n', other, 'link', 'add', 'before', 'type', 'veth', 'peer', 'name', 'beside']);
    assert.equal((await lock('eth0', { where: other })).said, 'locked');
    await run(['ip', '-n', namespace, 'link', 'set', 'eth0', 'name', 'wan0']);
    assert.match((await lock('wan0')).said, /another "anyhop run" runs on interface wan0/);
  });

  test('cannot be taken by another user, who cannot block it either', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const squatter = `require('net').createServer().listen('\\0anyhop/run/eth0', () => console.log('bound'))`;
    const [program = '', ...args] = inside(namespace, [...asNobody, process.execPath, '-e', squatter]);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    held.push(child);
    await once(child.stdout!, 'data');
    const theirs = await lock('eth0', { as: asNobody });
    assert.match(
      theirs.said,
      /eth0 cannot be locked: permission denied \| \/run\/anyhop must belong to .*RuntimeDirectory=anyhop .*install -d -o 65534 \/run\/anyhop/,
    );
    assert.equal((await lock()).said, 'locked');
    const flock = inside(namespace, [...asNobody, 'flock', '-n', '-s', files().trim(), 'true']);
    assert.notEqual(spawnSync(flock[0]!, flock.slice(1)).status, 0);
  });

  test('of the user of a service holds root off, who leaves no file in that directory', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    await run(['install', '-d', '-o', String(NOBODY), `${resources.directory}/anyhop`]);
    const root = { how: 'lockLeftovers' };
    const before = await lock('eth0', root);
    assert.equal(before.said, 'locked');
    before.child.stdin!.end();
    await once(before.child, 'exit');
    assert.equal(files(), '');
    assert.equal((await lock('eth0', { as: asNobody })).said, 'locked');
    assert.match((await lock('eth0', root)).said, /another "anyhop run" runs/);
    assert.match(
      (await lock()).said,
      /\/run\/anyhop belongs to another user \(65534\) than the one that runs this \(0\)/,
    );
  });

  test('is refused in a directory that others can write', { timeout: TEST_TIMEOUT_MS }, async () => {
    await run(['install', '-d', '-m', '1777', `${resources.directory}/anyhop`]);
    assert.match(
      (await lock()).said,
      /\/run\/anyhop can be written by others than its owner \(mode 1777\) \| As root: chmod go-w \/run\/anyhop/,
    );
  });
});
