/** Whom HAProxy runs as, and by which command. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findIdentity } from '#anyhop/l7/haproxy/identity.js';
import { asUser } from '#anyhop/l7/haproxy/launch.js';

const isRoot = process.geteuid?.() === 0;

describe("HAProxy's user", () => {
  it('is found by its name, when this process is root', { skip: !isRoot && 'needs root' }, async () => {
    const found = await findIdentity('daemon');
    assert.equal(found?.name, 'daemon');
    assert.ok(found.uid > 0 && found.gid > 0);
  });

  it('is never root, and must exist', { skip: !isRoot && 'needs root' }, async () => {
    await assert.rejects(findIdentity('root'), { code: 'ERR_HAPROXY', message: /must not run as root/ });
    for (const name of ['no-such-user', '', '-s', '0'])
      await assert.rejects(findIdentity(name), { code: 'ERR_HAPROXY' }, name);
  });

  it("is this process's own user otherwise", { skip: isRoot && 'needs to be no root' }, async () => {
    assert.equal(await findIdentity('haproxy'), undefined);
  });
});

describe('the command that starts HAProxy', () => {
  it('gives it a user without groups, one capability and no way to more', () => {
    const { program, args } = asUser({ name: 'x', uid: 5, gid: 6 }, 'sh', ['-c', 'id']);
    assert.equal(program, 'setpriv');
    const caps = ['--inh-caps', '--ambient-caps', '--bounding-set'].map(
      (set) => `${set}=-all,+net_bind_service`,
    );
    assert.deepEqual(args.slice(0, -4), [
      '--reuid',
      '5',
      '--regid',
      '6',
      '--clear-groups',
      ...caps,
      '--no-new-privs',
    ]);
    assert.equal(args.at(-4), '--');
    assert.match(args.at(-3)!, /^\/.*\/sh$/);
    assert.deepEqual(args.slice(-2), ['-c', 'id']);
  });

  it('is the program itself without another user, and never one that is not there', () => {
    assert.deepEqual(asUser(undefined, 'sh', ['-c']).args, ['-c']);
    assert.throws(() => asUser(undefined, 'no-such-haproxy', []), {
      code: 'ERR_TOOL',
      message: /is missing/,
    });
  });
});
