/** The control socket: who may connect, what it answers, and what it leaves behind. */
import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { serveControl } from '#anyhop/control/server.js';

const directory = mkdtempSync(join(tmpdir(), 'ah-control-'));
after(() => rmSync(directory, { recursive: true }));
let sockets = 0;
const newPath = (): string => join(directory, `d${sockets}`, `${sockets++}.sock`);

const ROUTES = {
  '/status': async () => ({ node: 'edge-1' }),
  '/broken': async () => {
    throw new Error('out of luck');
  },
};

function ask(
  socketPath: string,
  path: string,
  method = 'GET',
  body = '',
): Promise<{ status: number | undefined; answer: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method }, async (response) => {
      let text = '';
      for await (const part of response) text += part;
      resolve({ status: response.statusCode, answer: JSON.parse(text) });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

describe('the control socket', () => {
  it('answers what there is with JSON, and says what there is for anything else', async () => {
    const path = newPath();
    const server = await serveControl(path, ROUTES);
    try {
      assert.deepEqual(await ask(path, '/status?x=1'), { status: 200, answer: { node: 'edge-1' } });
      for (const wrong of ['/', '//', '//[', '/%', '/constructor', '/status/../x', '/__proto__']) {
        const { status, answer } = await ask(path, wrong);
        assert.equal(status, 404, wrong);
        assert.match(JSON.stringify(answer), /ERR_NOT_FOUND.*\/status, \/broken/);
      }
      const posted = await ask(path, '/status', 'POST', 'x'.repeat(100_000));
      assert.equal(posted.status, 405);
      assert.match(JSON.stringify(posted.answer), /ERR_METHOD/);
      const broken = await ask(path, '/broken');
      assert.equal(broken.status, 500);
      assert.match(JSON.stringify(broken.answer), /out of luck/);
    } finally {
      await server.close();
    }
  });

  it('survives what is no HTTP', async () => {
    const path = newPath();
    const server = await serveControl(path, ROUTES);
    try {
      for (const bytes of [
        '\0\0\0\r\n\r\n',
        'GET / HTTP/9.9\r\n\r\n',
        `GET /${'a'.repeat(50_000)} HTTP/1.1\r\n`,
      ]) {
        await new Promise((resolve) => {
          const client = connect(path, () => client.end(bytes));
          client.on('error', () => undefined); // closed on us: that is its answer
          client.on('close', resolve);
          client.resume();
        });
      }
      assert.equal((await ask(path, '/status')).status, 200);
    } finally {
      await server.close();
    }
  });

  it('is for its user and group alone, and is gone with its directory after close', async () => {
    const path = newPath();
    const server = await serveControl(path, ROUTES);
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
    const server = await serveControl(path, ROUTES);
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
    const server = await serveControl(kept, ROUTES);
    assert.equal((await ask(kept, '/status')).status, 200);
    await server.close();
  });

  it('refuses to take the place of one that lives, or of a file that is none', async () => {
    const path = newPath();
    const server = await serveControl(path, ROUTES);
    try {
      await assert.rejects(serveControl(path, ROUTES), { code: 'ERR_SOCKET', message: /another process/ });
      assert.equal((await ask(path, '/status')).status, 200);
    } finally {
      await server.close();
    }
    const file = join(directory, 'file');
    writeFileSync(file, 'precious');
    await assert.rejects(serveControl(join(file, 'x.sock'), ROUTES), { code: 'ERR_SOCKET' });
  });
});
