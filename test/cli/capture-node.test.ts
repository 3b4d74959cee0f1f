/** `anyhop capture` against nodes that are none, and words that are wrong: it ends with a reason, and never otherwise. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { frameHeader } from '#anyhop/api/capture.js';
import { NodeCapture } from '#anyhop/cli/capture-node.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { fakeNode } from '../api/fake-node.js';
import { NAMES } from '../capture/names.js';
import { anyhop } from './client.js';

const REPORT = { node: 'edge-1', interface: 'eth0', engine: 'portable', names: NAMES };
const FILTER = { sample: 1, snapLength: 64 };
const WAIT_MS = 10_000;

const framed = (kind: number, bytes: Buffer): Buffer =>
  Buffer.concat([frameHeader(kind, bytes.length), bytes]);

describe('a capture from a node', () => {
  let directory: string;
  let server: Server;
  let socket: string;
  let answer: (response: ServerResponse) => void = (response) => response.end();
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ah-capture-'));
    socket = join(directory, 'node.sock');
    server = createServer((request, response) => {
      request.resume();
      answer(response);
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true });
  });

  /** To the end of what comes. */
  async function readAll(send: (response: ServerResponse) => void): Promise<number> {
    answer = send;
    const source = new NodeCapture(socket, REPORT);
    const end = performance.now() + WAIT_MS;
    try {
      await source.arm(FILTER);
      let records = 0;
      for (;;) {
        const some = await source.read(10);
        if (some === undefined) return records;
        records += some.length;
        assert.ok(performance.now() < end, 'it ends');
      }
    } finally {
      await source.close();
    }
  }

  const refused: readonly (readonly [string, (response: ServerResponse) => void])[] = [
    ['a frame that is too long', (response) => response.write(frameHeader(2, 0x7fffffff))],
    ['names that are no JSON', (response) => response.write(framed(1, Buffer.from('{')))],
    ['names that are none', (response) => response.write(framed(1, Buffer.from('{"services": 5}')))],
    ['a loss that is no JSON', (response) => response.write(framed(3, Buffer.from('null')))],
    ['records that are none', (response) => response.write(framed(2, Buffer.alloc(80, 0xff)))],
    ['a record of length zero', (response) => response.write(framed(2, Buffer.alloc(64)))],
    [
      'a connection that breaks',
      (response) => {
        response.write(frameHeader(2, 100));
        setImmediate(() => response.destroy());
      },
    ],
    ['a refusal without a reason', (response) => response.writeHead(500).end('\x1b[2Jno')],
  ];
  for (const [what, send] of refused)
    it(`ends with a reason at ${what}`, async () => {
      await assert.rejects(
        readAll(send),
        (error: unknown) => error instanceof AnyhopError && !error.message.includes('\x1b'),
      );
    });

  it('passes over what a newer node may send, and ends with the stream', async () => {
    assert.equal(await readAll((response) => response.end(framed(99, Buffer.from('news')))), 0);
  });

  it('refuses a wrong filter before it asks anybody, and says which column', async () => {
    const { code, stderr } = await anyhop(['capture', '--socket', '/nowhere.sock', 'vpi 203.0.113.10']);
    assert.equal(code, 2);
    assert.match(stderr, /filter, column 1: expected a field, found "vpi"\n {2}Did you mean vip\?/);
  });

  it('fails when no node answers, or it cannot record, and leaves no file', async () => {
    const nobody = await anyhop(['capture', '--socket', join(directory, 'nobody.sock')]);
    assert.equal(nobody.code, 1);
    const node = await fakeNode();
    try {
      const file = join(directory, 'x.pcapng');
      const failed = await anyhop(['capture', '--socket', node.socket, '-w', file, 'service web']);
      assert.equal(failed.code, 2);
      assert.match(failed.stderr, /no service "web"/);
      assert.throws(() => rmSync(file), { code: 'ENOENT' });
    } finally {
      await node.close();
    }
  });
});
