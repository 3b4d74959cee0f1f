/** drain, undrain, weight and reload: what they tell a node, and what they say of its answer. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ChangeReport, ControlError, type PoolChangeReport } from '#anyhop/api/api.js';
import type { DrainStatus, NodeStatus } from '#anyhop/api/status.js';
import type { ConfigProblem } from '#anyhop/config/error.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { anyhop, type Ran } from './client.js';

const CHANGES = ['web-2 state active -> draining'];
const IN_FORCE: PoolChangeReport = {
  pool: 'web',
  effect: 'in_force',
  changes: CHANGES,
  settlesAt: '2024-05-01T12:05:00.000Z',
};
const QUEUED: PoolChangeReport = {
  pool: 'api',
  effect: 'queued',
  changes: CHANGES,
  id: 'api:4',
  dueAt: '2024-05-01T12:07:30.000Z',
};

function report(...pools: PoolChangeReport[]): ChangeReport {
  return { generation: 8, pools, changes: [], warnings: [] };
}

let node: FakeNode;
beforeEach(async () => {
  node = await fakeNode();
});
afterEach(() => node.close());

const run = (...args: string[]): Promise<Ran> => anyhop([...args, '--socket', node.socket]);

describe('drain, undrain and weight', () => {
  it('tell the node what was said on the command line', async () => {
    assert.equal((await run('drain', 'web-2')).code, 0);
    assert.equal((await run('undrain', 'web-2', '--pool', 'web', '--force')).code, 0);
    assert.equal((await run('weight', 'web-2', '0', '-p', 'web')).code, 0);
    const all = { backend: 'web-2', pool: undefined };
    const web = { backend: 'web-2', pool: 'web' };
    assert.deepEqual(node.told, [
      { what: 'drain', target: all, options: { force: false } },
      { what: 'undrain', target: web, options: { force: true } },
      { what: 'weight', target: web, weight: 0, options: { force: false } },
    ]);
  });

  it('say of each pool whether it is in force, until when it waits, or that it stays', async () => {
    const unchanged: PoolChangeReport = { pool: 'db', effect: 'unchanged', changes: [] };
    node.instead.drain = async () => report(IN_FORCE, QUEUED, unchanged);
    const { code, stdout, stderr } = await run('drain', 'web-2');
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      'pool web: in force, settles at 2024-05-01 12:05:00: web-2 state active -> draining\n' +
        'pool api: waits until 2024-05-01 12:07:30, until one of the two changes before it has settled: web-2 state active -> draining (api:4)\n' +
        'unchanged: db\n' +
        '"anyhop changes" lists the changes that wait, "anyhop cancel ID" drops one, "anyhop force ID" puts one in force now and may break connections.\n',
    );
    const json = await run('drain', 'web-2', '--json');
    assert.deepEqual(JSON.parse(json.stdout), report(IN_FORCE, QUEUED, unchanged));
  });

  it('end with exit code 2 for what is not there, 1 for what the node cannot do now, and say what to do', async () => {
    node.instead.drain = async () => {
      throw new ControlError(404, 'ERR_NOT_FOUND', 'no pool has a backend "web-9"', {
        hint: 'There are web-1.',
      });
    };
    node.instead.weight = async () => {
      throw new ControlError(429, 'ERR_LIMIT', '64 changes wait already', { hint: 'Wait, or force it.' });
    };
    node.instead.undrain = async () => {
      throw new Error('a bug');
    };
    const unknown = await run('drain', 'web-9');
    assert.deepEqual([unknown.code, unknown.stdout], [2, '']);
    assert.equal(unknown.stderr, 'anyhop: no pool has a backend "web-9"\n  There are web-1.\n');
    const full = await run('weight', 'web-1', '5');
    assert.deepEqual(
      [full.code, full.stderr],
      [1, 'anyhop: 64 changes wait already\n  Wait, or force it.\n'],
    );
    const fault = await run('undrain', 'web-1');
    assert.deepEqual([fault.code, fault.stderr], [1, 'anyhop: the node failed: a bug\n']);
    const json = await run('drain', 'web-9', '--json');
    assert.deepEqual([json.code, json.stderr], [2, '']);
    assert.equal(JSON.parse(json.stdout).error.code, 'ERR_NOT_FOUND');
  });

  it('refuse a weight that is none before anybody is asked, and a name that cannot be one', async () => {
    for (const weight of ['-1', '65536', '1.5', 'two', '']) {
      const { code, stderr } = await anyhop(['weight', '--socket', node.socket, '--', 'web-1', weight]);
      assert.equal(code, 2, weight);
      assert.match(stderr, /0 to 65535/);
    }
    const { code, stderr } = await run('drain', 'web 1');
    assert.equal(code, 2);
    assert.match(stderr, /backend is wrong; expected a name/);
    assert.deepEqual(node.told, []);
  });
});

describe('drain --wait', () => {
  const until = new Date(Date.now() + 60_000).toISOString();
  const drain = (connections: number | null, more: Partial<DrainStatus> = {}): DrainStatus => ({
    since: '2024-05-01T12:00:00.000Z',
    deadline: until,
    connections,
    done: connections === 0,
    ...more,
  });
  /** The node's statuses, one after the other; the last one stays. */
  const statuses = (...drains: (DrainStatus | undefined)[]): void => {
    const left = drains.map((one): NodeStatus => {
      const state = one === undefined ? 'active' : 'draining';
      const member = backendStatus('web-2', { state, ...(one && { drain: one }) });
      return nodeStatus({ pools: [poolStatus('web', [backendStatus('web-1'), member])] });
    });
    node.instead.status = async () => (left.length > 1 ? left.shift()! : left[0]);
  };
  beforeEach(() => {
    node.instead.drain = async () => report(IN_FORCE);
  });

  it('shows the connections left and ends with 0 when there are none', async () => {
    statuses(drain(12), drain(1), drain(0));
    const { code, stdout, stderr } = await run('drain', 'web-2', '--wait');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^web\/web-2: draining, 12 connections left, until (....-..-.. )?\d\d:\d\d:\d\d\n$/);
    assert.match(stdout, /in force[\s\S]*\nweb\/web-2: drained, no connection is left\n$/);
  });

  it('ends with 1 when the deadline is over, and says what is left where', async () => {
    statuses(drain(3), drain(3, { done: true }));
    const cut = await run('drain', 'web-2', '--wait');
    assert.equal(cut.code, 1);
    assert.match(cut.stdout, /web\/web-2: the deadline ended the drain, 3 connections left\n$/);
    statuses(drain(null, { done: true, unknown: 'its agent does not answer' }));
    const unknown = await run('drain', 'web-2', '--wait', '--json');
    assert.equal(unknown.code, 1);
    const { drains, generation } = JSON.parse(unknown.stdout);
    assert.equal(generation, 8);
    assert.deepEqual(drains, [
      {
        pool: 'web',
        backend: 'web-2',
        stage: 'cut_off',
        connections: null,
        until,
        unknown: 'its agent does not answer',
      },
    ]);
  });

  it('ends with 1 when somebody takes the drain back, or the backend out', async () => {
    statuses(drain(3), undefined);
    const undone = await run('drain', 'web-2', '--wait');
    assert.equal(undone.code, 1);
    assert.match(undone.stdout, /the drain was cancelled\n$/);
    node.instead.status = async () => nodeStatus({ pools: [] });
    assert.match((await run('drain', 'web-2', '--wait')).stdout, /web\/web-2: is no longer in the pool\n$/);
  });

  it('waits for a drain whose turn has not come, also when it was asked for before', async () => {
    for (const told of [QUEUED, { pool: 'api', effect: 'unchanged', changes: [] } as const]) {
      let asked = 0;
      node.instead.drain = async () => report(told);
      node.instead.status = async () => {
        const begun = ++asked > 1;
        const member = backendStatus('web-2', begun ? { state: 'draining', drain: drain(0) } : {});
        const queued = begun ? [] : [{ id: 'api:1', plannedAt: until, dueAt: until, changes: CHANGES }];
        return nodeStatus({ pools: [poolStatus('api', [member], { change: { queued } })] });
      };
      const { code, stdout, stderr } = await run('drain', 'web-2', '--wait');
      assert.equal(code, 0, stderr);
      assert.match(stderr, /^api\/web-2: waits/);
      assert.match(stdout, /api\/web-2: drained/);
    }
  });

  it('waits for a node that is being restarted', async () => {
    let asked = 0;
    node.instead.status = async () => {
      asked++;
      if (asked === 2) throw new ControlError(503, 'ERR_STOPPING', 'the node stops');
      const member = backendStatus('web-2', { state: 'draining', drain: drain(asked === 1 ? 2 : 0) });
      return nodeStatus({ pools: [poolStatus('web', [member])] });
    };
    assert.equal((await run('drain', 'web-2', '--wait')).code, 0);
    assert.equal(asked, 3);
  });
});

describe('changes, cancel and force', () => {
  const step = (id: string, changes: string[]) => {
    return { id, plannedAt: '2024-05-01T12:00:00.000Z', dueAt: '2024-05-01T12:05:00.000Z', changes };
  };

  it('list what waits with its id, when it comes and what it waits for', async () => {
    const queue = [
      { pool: 'web', ...step('web:3', CHANGES), waitsFor: ['web-1 drains'] },
      { pool: 'web', ...step('web:4', ['web-2 weight 1 -> 4']), waitsFor: ['web:3'] },
    ];
    node.instead.changes = async () => ({ changes: queue });
    const { code, stdout, stderr } = await run('changes');
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.split('\n'), [
      'ID     AT THE LATEST        WAITS UNTIL   CHANGE',
      'web:3  2024-05-01 12:05:00  web-1 drains  web-2 state active -> draining',
      'web:4  2024-05-01 12:05:00  web:3         web-2 weight 1 -> 4',
      '',
    ]);
    assert.deepEqual(JSON.parse((await run('changes', '--json')).stdout), { changes: queue });
    node.instead.changes = async () => ({ changes: [] });
    assert.equal((await run('changes')).stdout, 'no change waits\n');
  });

  it('tell the node which one is meant, and say what has come of it', async () => {
    node.instead.cancel = async (id) => {
      node.told.push({ what: 'cancel', id });
      return report({ pool: 'web', effect: 'unchanged', changes: [], takenBack: [step(id, CHANGES)] });
    };
    const { code, stdout, stderr } = await run('cancel', 'web:3');
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'pool web: no longer waits: web-2 state active -> draining (web:3)\n');
    node.instead.force = async (id) => {
      node.told.push({ what: 'force', id });
      return report(IN_FORCE);
    };
    assert.match((await run('force', 'web:4')).stdout, /^pool web: in force, .*draining\n$/);
    assert.deepEqual(node.told, [
      { what: 'cancel', id: 'web:3' },
      { what: 'force', id: 'web:4' },
    ]);
    const wrong = await run('cancel', 'web');
    assert.equal(wrong.code, 2);
    assert.match(
      wrong.stderr,
      /'web' is invalid for argument 'id'. Expected the id of a change that waits, such as web:3;/,
    );
  });
});

describe('reload', () => {
  it('names what came with it because it was forced', async () => {
    const came = [
      { id: 'web:2', plannedAt: IN_FORCE.settlesAt!, dueAt: IN_FORCE.settlesAt!, changes: CHANGES },
    ];
    node.instead.reload = async () => report({ ...IN_FORCE, changes: ['web-9 added', ...CHANGES], came });
    assert.match(
      (await run('reload', '--force')).stdout,
      /\npool web: also in force now: web-2 state active -> draining \(web:2\)\n/,
    );
  });

  it('says what has changed, what waits and what to beware of', async () => {
    node.instead.reload = async ({ force }) => ({
      ...report(
        { ...IN_FORCE, changes: force ? ['forced'] : CHANGES },
        { pool: 'new', effect: 'added', changes: [] },
      ),
      changes: ['http: hash 5-tuple -> source; all its flows get new slots'],
      warnings: ['a.yaml:3:5: pools.web: has few slots'],
    });
    const { code, stdout } = await run('reload');
    assert.equal(code, 0);
    assert.equal(
      stdout,
      'pool web: in force, settles at 2024-05-01 12:05:00: web-2 state active -> draining\n' +
        'pool new: added\n' +
        'http: hash 5-tuple -> source; all its flows get new slots\n' +
        'warning: a.yaml:3:5: pools.web: has few slots\n',
    );
    assert.match((await run('reload', '--force')).stdout, /: forced\n/);
    node.instead.reload = async () => report();
    assert.equal((await run('reload')).stdout, 'nothing has changed\n');
  });

  it('prints every problem of a file that is wrong with its place, as check does, and ends with 2', async () => {
    const problems: ConfigProblem[] = [
      { file: 'a.yaml', line: 3, column: 5, field: 'pools.web', message: 'missing; expected a mapping' },
      { file: 'a.yaml', line: 0, column: 0, field: '', message: 'cannot be read' },
    ];
    node.instead.reload = async () => {
      throw new ControlError(422, 'ERR_CONFIG', 'what was in force still is', { problems });
    };
    const { code, stdout, stderr } = await run('reload');
    assert.deepEqual([code, stdout], [2, '']);
    assert.equal(
      stderr,
      'a.yaml:3:5: pools.web: missing; expected a mapping\na.yaml: cannot be read\n  what was in force still is\n',
    );
    const json = await run('reload', '--json');
    assert.equal(json.code, 2);
    assert.deepEqual(JSON.parse(json.stdout).error.problems, problems);
  });

  it('ends with 1 for a change that takes a restart, and where no node answers', async () => {
    node.instead.reload = async () => {
      throw new ControlError(409, 'ERR_RESTART', 'node.engine takes a restart');
    };
    const restart = await run('reload');
    assert.deepEqual([restart.code, restart.stderr], [1, 'anyhop: node.engine takes a restart\n']);
    const nobody = await anyhop(['reload', '--socket', '/nonexistent/x.sock']);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /x\.sock: it does not exist/);
  });
});
