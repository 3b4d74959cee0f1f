/** The master CLI's client against sockets that answer well, badly, and not at all. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { MasterCli } from '#anyhop/l7/haproxy/master.js';

describe('the client of the master CLI', () => {
  let directory: string;
  let server: Server | undefined;
  const open = new Set<Socket>();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'anyhop-master-'));
  });
  afterEach(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => (server === undefined ? resolve(0) : server.close(resolve)));
    server = undefined;
    rmSync(directory, { recursive: true });
  });

  /** A client of a server that answers in this way. */
  async function clientOf(answer: (socket: Socket, command: string) => void): Promise<MasterCli> {
    const path = join(directory, 'm.sock');
    server = createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      socket.on('error', () => {}); // the client may hang up
      let command = '';
      socket.setEncoding('utf8').on('data', (text) => (command += text));
      socket.on('end', () => answer(socket, command));
    });
    await new Promise<void>((resolve) => server!.listen(path, resolve));
    return new MasterCli(path);
  }

  it('sends one command, with the worker prefix and the payload, and gives the answer as it came', async () => {
    const client = await clientOf((socket, command) => socket.end(command));
    assert.equal(await client.ask('show proc'), 'show proc\n');
    assert.equal(await client.askWorker('show info'), '@1 show info\n');
    assert.equal(
      await client.askWorker('set ssl cert x', { payload: 'a\nb' }),
      '@1 set ssl cert x <<\na\nb\n\n',
    );
  });

  it('refuses what would be two commands, or would end a payload early', async () => {
    const client = await clientOf((socket) => socket.end());
    for (const command of ['show info\nreload', 'show info;reload', 'a\0', 'a\rb'])
      await assert.rejects(client.ask(command), { name: 'RangeError' });
    for (const payload of ['a\n\nb', '\na', 'a\n\n'])
      await assert.rejects(client.ask('set x', { payload }), { name: 'RangeError' });
  });

  it('refuses what HAProxy would drop for its length', async () => {
    const client = await clientOf((socket, command) => socket.end(String(command.length)));
    const fits = 'x'.repeat(16_383 - '@1 set ssl cert x <<\n\n\n'.length);
    assert.equal(await client.askWorker('set ssl cert x', { payload: fits }), '16383');
    await assert.rejects(client.askWorker('set ssl cert x', { payload: `${fits}x` }), {
      code: 'ERR_HAPROXY',
      message: 'HAProxy does not take a command of 16384 bytes: @1 set ssl cert x',
    });
  });

  it('gives up on an answer that does not end, and on one that is too long', {
    timeout: 30_000,
  }, async () => {
    const silent = await clientOf((socket) => socket.write('a'));
    await assert.rejects(silent.ask('x', { timeoutMs: 50 }), {
      code: 'ERR_HAPROXY',
      message: /no whole answer within 50ms/,
    });
    await assert.rejects(silent.ask('x', { timeoutMs: 20_000, answerBytesMax: 0 }), {
      message: /more than 0 bytes/,
    });
  });

  it('says so when nobody listens', async () => {
    await assert.rejects(new MasterCli(join(directory, 'none')).ask('x'), {
      code: 'ERR_HAPROXY',
      message: /does not answer on .*none: it does not exist/,
    });
  });

  it('does not understand a list of processes without a master, or a worker without a version', async () => {
    const client = await clientOf((socket) => socket.end('Unknown \x1b[2J command\n'));
    await assert.rejects(client.processes(), { message: /not understood: Unknown \\u001b\[2J/ });
    await assert.rejects(client.versionOf(5), { message: /worker 5 does not answer/ });
  });
});
