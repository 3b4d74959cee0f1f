/** plan without files: what a node says of its config file, drawn. (Of two files: test/table/commands.test.ts.) */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ControlError, type PlanReport } from '#anyhop/api/api.js';
import type { BackendConfig, PoolConfig } from '#anyhop/config/types.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { planPool } from '#anyhop/pool/plan.js';
import { statesOfConfig } from '#anyhop/pool/states.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';
import { anyhop } from './client.js';

const CHANGES = ['web-1 state active -> draining'];
const members = [1, 2, 3].map((i): BackendConfig => {
  const address = parseAddress(`10.1.0.${i}`)!;
  return { name: `web-${i}`, address, weight: 1, state: 'active', agent: true, id: i };
});
const before: PoolConfig = {
  name: 'web',
  tableSize: 251,
  panicThreshold: 0,
  health: [],
  deadAfterMs: 300_000,
  settleMs: 300_000,
  drainDeadlineMs: 3_600_000,
  backends: members,
  prior: undefined,
};
const after: PoolConfig = {
  ...before,
  backends: [{ ...members[0], state: 'draining' }, ...members.slice(1)],
};
const prior = members.slice(1).map((one) => ({ ...one, health: 'up' as const }));
const next = statesOfConfig(after);
const settled = planPool(statesOfConfig(before), next, 300_000);
const unsettled = planPool(statesOfConfig({ ...before, prior }), next, 300_000);

const WAITING = {
  id: 'web:2',
  plannedAt: '2024-05-01T12:01:00.000Z',
  dueAt: '2024-05-01T12:05:00.000Z',
  changes: ['web-2 weight 1 -> 5'],
};
const REPORT: PlanReport = {
  of: 'reload',
  file: '/etc/anyhop/anyhop.yaml',
  pools: [
    { pool: 'api', effect: 'unchanged', changes: [], atRiskByForce: [] },
    {
      pool: 'db',
      effect: 'in_force',
      changes: CHANGES,
      plan: settled,
      atRiskByForce: [],
      withoutSecondChance: ['http'],
    },
    { pool: 'dns', effect: 'unchanged', changes: [], plan: settled, atRiskByForce: [] },
    { pool: 'new', effect: 'added', changes: [], atRiskByForce: [] },
    { pool: 'old', effect: 'removed', changes: [], atRiskByForce: [] },
    {
      pool: 'web',
      effect: 'queued',
      changes: CHANGES,
      id: 'web:3',
      dueAt: '2024-05-01T12:07:30.000Z',
      plan: unsettled,
      forceBrings: [WAITING],
      atRiskByForce: [{ bornUntil: '2024-05-01T12:02:30.000Z', share: 0 }, { share: 0.125 }],
    },
  ],
  changes: ['web: panic threshold 0 -> 0.5'],
  warnings: ['anyhop.yaml:3:5: pools.web: few slots'],
};

let node: FakeNode;
beforeEach(async () => {
  node = await fakeNode({ plan: async () => REPORT });
});
afterEach(() => node.close());

describe('plan of a running node', () => {
  it('says what is at once, what waits until when, what breaks, and what --force would break', async () => {
    const { code, stdout, stderr } = await anyhop(['plan', '--socket', node.socket]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^\/etc\/anyhop\/anyhop\.yaml: a reload would change this\n\npool db: at once\n/);
    assert.match(stdout, /^ {2}changes {10}web-1 state active -> draining\n {2}slots moved {6}8\d slots/m);
    assert.match(
      stdout,
      /no TCP flow breaks where second chance is on\. It is off for http: 3\d\.\d % break there\.\n/,
    );
    assert.match(stdout, /^pool dns: at once\n {2}slots moved {6}8\d slots/m, 'another panic threshold');
    assert.match(stdout, /^pool new: added; it has no flows yet\.\n\npool old: removed; its flows end\.\n/m);
    assert.match(
      stdout,
      /^pool web: waits until 2024-05-01 12:07:30, until one of the two changes before it has settled\n/m,
    );
    assert.match(stdout, /^ {2}TCP, born since +\d/m);
    assert.match(
      stdout,
      /--force +0 % of those born until 2024-05-01 12:02:30 break even with second chance\n/,
    );
    assert.match(stdout, /--force +12\.5 % of younger ones break even with second chance\n/);
    assert.match(stdout, /--force +a reload also applies web-2 weight 1 -> 5 \(web:2\)\n/);
    assert.match(stdout, /^outside the pools\n {2}web: panic threshold 0 -> 0\.5\n/m);
    assert.match(stdout, /^warnings\n {2}anyhop\.yaml:3:5/m);
    assert.match(stdout, /\nunchanged: api\n$/);
    const json = await anyhop(['plan', '--json', '--socket', node.socket]);
    assert.deepEqual(JSON.parse(json.stdout), JSON.parse(JSON.stringify(REPORT)));
  });

  it('is asked for a drain, an undrain and a weight as well, before they are told', async () => {
    const asked: unknown[] = [];
    const members4 = [
      ...members,
      { ...members[0], name: 'web-4', id: 4, address: parseAddress('10.1.0.4')! },
    ];
    const plan = planPool(statesOfConfig(before), statesOfConfig({ ...before, backends: members4 }), 300_000);
    node.instead.planFor = async (target, patch, options) => {
      asked.push([target, patch, options]);
      const changes = ['web-1 weight 1 -> 5'];
      const pools = [{ pool: 'web', effect: 'in_force' as const, changes, plan, atRiskByForce: [] }];
      return { of: 'weight 5 of web-1', pools, changes: [], warnings: [] };
    };
    const socket = ['--socket', node.socket];
    const { code, stdout, stderr } = await anyhop(['weight', 'web-1', '5', '--plan', ...socket]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^weight 5 of web-1 would change this\n\npool web: at once\n/);
    assert.match(
      stdout,
      /no TCP flow breaks that is over within settle_time \(5m\), and [\d.]+ % of those do that live on for longer\.\n$/,
    );
    await anyhop(['drain', 'web-1', '--plan', '--wait', ...socket]);
    await anyhop(['undrain', 'web-1', '--plan', '--pool', 'web', '--json', ...socket]);
    const all = { backend: 'web-1', pool: undefined };
    assert.deepEqual(asked, [
      [all, { weight: 5 }, { force: false }],
      [all, { state: 'draining' }, { force: false }],
      [{ backend: 'web-1', pool: 'web' }, { state: 'active' }, { force: false }],
    ]);
    assert.deepEqual(node.told, [], 'nothing was changed');
  });

  it('says that nothing would change', async () => {
    node.instead.plan = async () => ({
      ...REPORT,
      pools: REPORT.pools.slice(0, 1),
      changes: [],
      warnings: [],
    });
    const { stdout } = await anyhop(['plan', '--socket', node.socket]);
    assert.equal(stdout, '/etc/anyhop/anyhop.yaml: a reload would change nothing\n');
  });

  it('prints the problems of a file that is wrong, and ends with 2', async () => {
    node.instead.plan = async () => {
      const problems = [{ file: 'a.yaml', line: 3, column: 5, field: 'pools', message: 'missing' }];
      throw new ControlError(422, 'ERR_CONFIG', 'what was in force still is', { problems });
    };
    const { code, stderr } = await anyhop(['plan', '--socket', node.socket]);
    assert.deepEqual([code, stderr], [2, 'a.yaml:3:5: pools: missing\n  what was in force still is\n']);
  });

  it('takes both files or none', async () => {
    for (const args of [['old.yaml'], ['old.yaml', 'new.yaml', '--socket', node.socket]]) {
      const { code, stderr } = await anyhop(['plan', ...args]);
      assert.equal(code, 2);
      assert.match(stderr, /Give OLD and NEW without --socket, or --socket without files/);
    }
  });
});
