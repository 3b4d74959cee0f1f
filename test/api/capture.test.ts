/** Captures over the control socket: one client at a time, whose connection is all that keeps a recording going. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ControlError } from '#anyhop/api/api.js';
import { FRAME } from '#anyhop/api/capture.js';
import { Recorded } from '#anyhop/api/recorders.js';
import type { Recording } from '#anyhop/engine/capture/recording.js';
import { NAMES } from '../capture/names.js';
import { ask, type FakeNode, fakeNode, post } from './fake-node.js';
import { deafClient } from './raw-client.js';

const WAIT_MS = 20_000;
const CHUNK = Buffer.alloc(64 * 1024, 7);

/** Chunks of records without end, or as many as it is given. */
class Scripted implements Recording {
  lost = 0;
  taken = 0;
  ended = 0;
  chunks: number;

  constructor(chunks = 0) {
    this.chunks = chunks;
  }

  take(): Uint8Array {
    if (this.chunks === 0) return new Uint8Array(0);
    this.chunks--;
    this.taken++;
    return CHUNK;
  }

  async end(): Promise<void> {
    this.ended++;
  }
}

interface Frame {
  readonly kind: number;
  readonly bytes: Buffer;
}

function framesIn(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    if (at + 8 + length > bytes.length) break;
    frames.push({ kind: bytes.readUInt32LE(at), bytes: bytes.subarray(at + 8, at + 8 + length) });
    at += 8 + length;
  }
  return frames;
}

/** A client that captures: what has come, and the end. */
function capturing(
  socketPath: string,
): Promise<{ bytes: () => Buffer; destroy(): void; over: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method: 'POST', path: '/capture', agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', () => undefined);
      const over = new Promise<void>((end) => response.once('close', () => end()));
      resolve({ bytes: () => Buffer.concat(parts), destroy: () => void asked.destroy(), over });
    });
    asked.on('error', reject);
    asked.end();
  });
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!isSo()) {
    assert.ok(performance.now() < end, what);
    await delay(10);
  }
}

describe('a capture over the control socket', () => {
  let node: FakeNode | undefined;
  afterEach(() => node?.close());

  const serve = async (recording: Recording, names = () => NAMES): Promise<FakeNode> => {
    node = await fakeNode({ record: async () => new Recorded(async () => recording, names) });
    return node;
  };

  it('tells names first, then records, then what was lost, and new names when there are some', async () => {
    const recording = new Scripted(3);
    let names = NAMES;
    const { socket } = await serve(recording, () => names);
    const client = await capturing(socket);
    await until(() => framesIn(client.bytes()).some(({ kind }) => kind === FRAME.lost), 'all frames');
    const frames = framesIn(client.bytes());
    assert.deepEqual(
      frames.map(({ kind }) => kind),
      [FRAME.names, FRAME.records, FRAME.records, FRAME.records, FRAME.lost],
    );
    assert.deepEqual(JSON.parse(frames[0].bytes.toString()), NAMES);
    assert.ok(frames[1].bytes.equals(CHUNK));
    assert.deepEqual(JSON.parse(frames[4].bytes.toString()), { lost: 0 });
    recording.lost = 5;
    names = { ...NAMES, generation: 8 };
    await until(() => framesIn(client.bytes()).length >= 7, 'names and losses');
    const [again, lost] = framesIn(client.bytes()).slice(5);
    assert.equal(JSON.parse(again.bytes.toString()).generation, 8);
    assert.deepEqual(JSON.parse(lost.bytes.toString()), { lost: 5 });
    client.destroy();
    await until(() => recording.ended === 1, 'the end of the recording');
  });

  it('is for one client, and the next comes when it is gone', async () => {
    const recording = new Scripted();
    const { socket } = await serve(recording);
    const client = await capturing(socket);
    const refused = await post(socket, '/capture', {});
    assert.deepEqual([refused.status, refused.json.error.code], [429, 'ERR_BUSY']);
    assert.equal((await ask(socket, '/status')).status, 200);
    client.destroy();
    await until(() => recording.ended === 1, 'the end of the recording');
    const next = await capturing(socket);
    next.destroy();
  });

  it('takes no more from the engine while its client does not read', async () => {
    const recording = new Scripted(Number.POSITIVE_INFINITY);
    const { socket } = await serve(recording);
    const deaf = deafClient(socket, 'POST /capture HTTP/1.1\r\nhost: node\r\ncontent-length: 0\r\n\r\n');
    await until(() => recording.taken > 0, 'a beginning');
    await delay(300);
    const { taken } = recording;
    assert.ok(taken < 64, `${taken} chunks of 64 KiB`);
    await delay(300);
    assert.equal(recording.taken, taken);
    assert.equal((await ask(socket, '/status')).status, 200, 'others are answered');
    deaf.socket.destroy();
    await until(() => recording.ended === 1, 'the end of the recording');
  });

  it('ends with the node', async () => {
    const recording = new Scripted(1);
    const { socket } = await serve(recording);
    const client = await capturing(socket);
    await node!.close();
    node = undefined;
    await client.over;
    await until(() => recording.ended === 1, 'the end of the recording');
    assert.ok(framesIn(client.bytes()).some(({ kind }) => kind === FRAME.records));
  });

  it('refuses what it cannot record, and is free again', async () => {
    const recording = new Scripted();
    node = await fakeNode({
      record: async ({ backend }) =>
        new Recorded(
          async () => {
            if (backend !== undefined) throw new ControlError(404, 'ERR_NOT_FOUND', 'no such backend');
            return recording;
          },
          () => NAMES,
        ),
    });
    const { socket } = node;
    const wrong: readonly [object, RegExp][] = [
      [{ vip: 'nobody' }, /vip is wrong; expected an address/],
      [{ client: '198.51.100.0/33' }, /client is wrong/],
      [{ sample: 0 }, /sample is wrong/],
      [{ snap_length: 1 }, /snap_length is wrong/],
      [{ verdicts: 'drop' }, /verdicts is wrong/],
      [{ backend: 'web-1' }, /backend is wrong/],
      [{ vpi: '203.0.113.10' }, /unknown field "vpi"/],
    ];
    for (const [body, message] of wrong) {
      const { status, json } = await post(socket, '/capture', body);
      assert.equal(status, 400);
      assert.match(json.error.message, message);
    }
    assert.equal((await post(socket, '/capture', { backend: 'web/none' })).status, 404);
    const client = await capturing(socket);
    client.destroy();
    await until(() => recording.ended === 1, 'the end of the recording');
  });
});
