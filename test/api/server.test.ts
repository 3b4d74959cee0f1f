/** The control socket as a file: who may connect, and what it leaves behind. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { ControlActions } from '#anyhop/api/api.js';
import { controlRoutes } from '#anyhop/api/routes.js';
import { type ControlServer, serveControl } from '#anyhop/api/server.js';
import { createLog } from '#anyhop/core/log.js';
import { ask } from './fake-node.js';

const directory = mkdtempSync(join(tmpdir(), 'ah-control-'));
after(() => rmSync(directory, { recursive: true }));
let sockets = 0;
const newPath = (): string => join(directory, `d${sockets}`, `${sockets++}.sock`);

const serve = (path: string): Promise<ControlServer> =>
  serveControl(
    path,
    controlRoutes({ status: async () => ({ node: 'edge-1' }) } as unknown as ControlActions),
    createLog('silent'),
  );

describe('the control socket as a file', () => {
  it('is for its user and group alone, and is gone with its directory after close', async () => {
    const path = newPath();
    const server = await serve(path);
    assert.equal(statSync(path).mode & 0o777, 0o660);
    // A client that holds its connection open does not hold up the end.
    const client = connect(path);
    await new Promise((resolve) => client.once('connect', resolve));
    client.on('error', () => undefined);
    await server.close();
    assert.equal(existsSync(path), false);
    assert.equal(existsSync(join(path, '..')), false);
  });

  it('ends well when somebody has removed its directory', async () => {
    const path = newPath();
    const server = await serve(path);
    rmSync(join(path, '..'), { recursive: true });
    await server.close();
  });

  it('replaces a socket that nobody listens on any more', async () => {
    const path = join(directory, 'stale.sock');
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(path, resolve));
    // Closing would remove the file; a process that is killed closes nothing.
    const kept = `${path}.kept`;
    linkSync(path, kept);
    await new Promise((resolve) => dead.close(resolve));
    const server = await serve(kept);
    assert.equal((await ask(kept, '/status')).status, 200);
    await server.close();
  });

  it('refuses to take the place of one that lives, or of a file that is none', async () => {
    const path = newPath();
    const server = await serve(path);
    try {
      await assert.rejects(serve(path), { code: 'ERR_SOCKET', message: /another process/ });
      assert.equal((await ask(path, '/status')).status, 200);
    } finally {
      await server.close();
    }
    const file = join(directory, 'file');
    writeFileSync(file, 'precious');
    await assert.rejects(serve(join(file, 'x.sock')), { code: 'ERR_SOCKET' });
    // A file that is no socket answers as a stale one does.
    await assert.rejects(serve(file), { code: 'ERR_SOCKET', message: /something else is there/ });
    assert.equal(readFileSync(file, 'utf8'), 'precious');
  });

  it('is in no directory that others can write, and takes no pipe for a socket', async () => {
    const path = newPath();
    mkdirSync(join(path, '..'));
    for (const mode of [0o777, 0o1777]) {
      chmodSync(join(path, '..'), mode);
      await assert.rejects(serve(path), {
        code: 'ERR_SOCKET',
        message: /can be written by others than its owner/,
        hint: /chmod go-w .*, or name another directory by node\.socket\./,
      });
    }
    chmodSync(join(path, '..'), 0o755);
    spawnSync('mkfifo', [path]);
    await assert.rejects(serve(path), { code: 'ERR_SOCKET', message: /something else is there/ });
  });
});
