/** The control socket under many clients at a time that keep what they have got: there is room for the next one. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeReport, TablesReport } from '#anyhop/api/api.js';
import { CONTROL_CHANGES_MAX, CONTROL_CONNECTIONS_MAX, TABLE_SIZE_MAX } from '#anyhop/core/limits.js';
import { ask, type FakeNode, fakeNode, post } from './fake-node.js';
import { answersAtOnce, deafClient, type RawClient, rawClient } from './raw-client.js';

const RELOAD = 'POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}';
const TABLES = 'GET /tables HTTP/1.1\r\nhost: x\r\n\r\n';
const DONE: ChangeReport = { generation: 8, pools: [], changes: [], warnings: [] };

const owners = Uint16Array.from({ length: TABLE_SIZE_MAX }, (_, slot) => slot % 4096);
const LARGEST: TablesReport = {
  generation: 1,
  pools: [{ pool: 'web', slots: owners.length, backends: [], owners, alternates: owners }],
};

let node: FakeNode;
let crowd: RawClient[];
beforeEach(async () => {
  crowd = [];
  node = await fakeNode();
});
afterEach(async () => {
  for (const { socket } of crowd) socket.destroy();
  await node.close();
});

/** As many more as there may be connections; resolves when they hold what they can. */
async function come(make: typeof rawClient, bytes: string): Promise<RawClient[]> {
  const more = Array.from({ length: CONTROL_CONNECTIONS_MAX }, () => make(node.socket, bytes));
  crowd.push(...more);
  await delay(300);
  return more;
}

/** What announces the VIPs and whoever looks for what is wrong: both are answered. */
async function othersAreAnswered(): Promise<void> {
  for (const path of ['/ready', '/status']) await answersAtOnce(node.socket, path);
}

/** Changes wait behind this one until it is let go. */
function slowReload(): () => void {
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  node.instead.reload = async () => {
    await finished;
    return DONE;
  };
  return finish;
}

describe('the control socket', () => {
  it('has room for the next client however many hold connections, half requests or whole ones', async () => {
    for (const bytes of [
      '',
      'GET /status HTTP/1.1\r\n',
      'POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{',
      'GET /status HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n',
    ]) {
      const many = Array.from({ length: 300 }, () => rawClient(node.socket, bytes));
      crowd.push(...many);
      let open = many.length;
      for (const { closed } of many) void closed.then(() => open--);
      await othersAreAnswered();
      await delay(100);
      await othersAreAnswered();
      assert.ok(open <= CONTROL_CONNECTIONS_MAX, `${open} connections are open`);
      for (const { socket } of many) socket.destroy();
    }
  });

  it('answers others while changes wait for a slow one, and refuses more of these than it keeps', async () => {
    const finish = slowReload();
    const many = await come(rawClient, RELOAD);
    await othersAreAnswered();
    const { status, json } = await post(node.socket, '/drain', { backend: 'web-1' });
    assert.deepEqual([status, json.error.code], [429, 'ERR_BUSY']);
    finish();
    await Promise.all(many.map(({ closed }) => closed));
    const statuses = many.map(({ received }) => received().slice(9, 12));
    assert.equal(statuses.filter((one) => one === '200').length, CONTROL_CHANGES_MAX, statuses.join());
    assert.equal(statuses.filter((one) => one === '429').length, many.length - CONTROL_CHANGES_MAX);
    assert.equal(
      (await post(node.socket, '/drain', { backend: 'web-1' })).status,
      200,
      'there is room again',
    );
  });

  it('answers others while many do not read their answers, and one of them that reads', async () => {
    node.instead.tables = async () => LARGEST;
    for (let wave = 0; wave < 3; wave++) {
      await come(deafClient, TABLES);
      await othersAreAnswered();
    }
    const { status, json } = await ask(node.socket, '/tables');
    assert.equal(status, 200);
    assert.equal(json.pools[0].owners.length, TABLE_SIZE_MAX);
  });

  it('lets no change go for those who do not read, and none for those who ask nothing', async () => {
    node.instead.tables = async () => LARGEST;
    const finish = slowReload();
    const change = rawClient(node.socket, RELOAD);
    crowd.push(change);
    await othersAreAnswered();
    for (const [make, bytes] of [
      [deafClient, TABLES],
      [rawClient, ''],
      [rawClient, RELOAD],
      [rawClient, ''],
    ] as const) {
      await come(make, bytes);
      await othersAreAnswered();
    }
    finish();
    await change.closed;
    assert.match(change.received(), /^HTTP\/1\.1 200 [\s\S]*"generation":8/);
  });

  it('answers others while many wait for an answer that does not come', async () => {
    node.instead.health = () => new Promise(() => undefined);
    for (let wave = 0; wave < 2; wave++) {
      await come(rawClient, 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
      await othersAreAnswered();
    }
  });
});
