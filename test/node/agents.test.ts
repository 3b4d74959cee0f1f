/** What a node knows of its backends' agents: all are asked, some at a time, and what they say is not trusted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AgentAnswer, AgentReport, askAgent } from '#anyhop/agent/report.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { Agents } from '#anyhop/node/agents.js';
import type { NamedBackend } from '#anyhop/pool/membership.js';
import { NODE, parse } from '../config/fixture.js';

const REPORT: AgentReport = {
  version: '0.1.0',
  startedAt: '2024-05-01T12:00:00.000Z',
  vips: [
    { vip: '203.0.113.10', protocol: 'tcp', established: 3, services: { web: 3 } },
    { vip: '203.0.113.11', protocol: 'tcp', established: 4, services: { api: 4 } },
  ],
  verdicts: {},
  draining: false,
  forwarders: [],
};

function backends(count: number, agent = true): NamedBackend[] {
  const list = Array.from({ length: count }, (_, i) => ({
    name: `b${i}`,
    address: `10.1.${i >> 8}.${i & 255}`,
    agent,
  }));
  const { pools } = parse(
    `${NODE}pools: ${JSON.stringify({ web: { backends: list } })}\nservices: []\n`,
    'pools',
  );
  return pools.flatMap((pool) => pool.backends.map((backend) => ({ pool, backend })));
}

const said = (report: AgentReport): AgentAnswer => ({ report, clockMs: undefined });

describe("the backends' agents", () => {
  it('are reachable with version, VIPs and connections, or not, with the reason', async () => {
    let answer = async (): Promise<AgentReport> => REPORT;
    const agents = new Agents({ fetch: async () => said(await answer()) });
    assert.equal(agents.status('10.1.0.0'), undefined);
    await agents.ask('10.1.0.0');
    const { at, ...known } = agents.status('10.1.0.0')!;
    assert.ok(!Number.isNaN(Date.parse(at)));
    assert.deepEqual(known, {
      reachable: true,
      version: '0.1.0',
      startedAt: '2024-05-01T12:00:00.000Z',
      vips: ['203.0.113.10', '203.0.113.11'],
      connections: 7,
      draining: false,
    });
    answer = async () => {
      throw new AnyhopError('ERR_REPORT', 'the agent says \x1b[2J');
    };
    await assert.rejects(agents.ask('10.1.0.0'));
    const { reachable, why } = agents.status('10.1.0.0')!;
    assert.deepEqual([reachable, why], [false, 'the agent says ?[2J']);
  });

  it('are not believed where they tell what no agent would', async () => {
    const fetch = async (): Promise<AgentAnswer> =>
      said({
        ...REPORT,
        version: '\x1b]0;x\x07',
        vips: [{ vip: '\x1b[31m', protocol: 'tcp', established: 1, services: {} }],
      });
    const agents = new Agents({ fetch });
    await agents.ask('10.1.0.0');
    const { version, vips } = agents.status('10.1.0.0')!;
    assert.deepEqual([version, vips], ['none that can be read', []]);
  });

  it('are all asked in turn, a fifth a second of a small fleet and fifty a second at most', async () => {
    for (const [count, perTick] of [
      [10, 2],
      [3, 1],
      [1_000, 50],
    ] as const) {
      const asked: string[] = [];
      const fetch = async (address: string): Promise<AgentAnswer> => {
        asked.push(address);
        return said(REPORT);
      };
      const agents = new Agents({ fetch });
      agents.follow(backends(count), 1234);
      agents.tick();
      assert.equal(asked.length, perTick);
      for (let i = 1; i < Math.ceil(count / perTick); i++) agents.tick();
      assert.equal(new Set(asked).size, count);
      agents.close();
    }
  });

  it('are told whether this node drains their backend, and how often it asks; who listens hears what they say', async () => {
    for (const [count, everyMs] of [
      [1, 5_000],
      [10, 5_000],
      [4_000, 80_000],
    ] as const) {
      const told: unknown[] = [];
      const heard: string[] = [];
      const fetch = async (...[address, , , { question }]: Parameters<typeof askAgent>) => {
        told.push([address, question]);
        return said({ ...REPORT, draining: true });
      };
      const agents = new Agents({ fetch });
      agents.follow(backends(count), 1234);
      agents.tell((address) => address === '10.1.0.0');
      agents.onReport((address, { report: { draining } }) => heard.push(`${address} ${draining}`));
      await agents.ask('10.1.0.0');
      await agents.ask('10.1.0.1');
      assert.deepEqual(told, [
        ['10.1.0.0', { draining: true, everyMs }],
        ['10.1.0.1', { draining: false, everyMs }],
      ]);
      assert.deepEqual(heard, ['10.1.0.0 true', '10.1.0.1 true']);
      assert.equal(agents.status('10.1.0.0')!.draining, true);
      agents.close();
    }
    const silent = new Agents({ fetch: () => Promise.reject(new AnyhopError('ERR_REPORT', 'gone')) });
    silent.onReport(() => assert.fail('there is no report'));
    await assert.rejects(silent.ask('10.1.0.0'));
  });

  it('are asked no more when a backend is gone or runs none, and no second time while one answer is waited for', () => {
    const asked: string[] = [];
    const fetch = (address: string): Promise<AgentAnswer> => {
      asked.push(address);
      return new Promise(() => {});
    };
    const agents = new Agents({ fetch });
    agents.follow(backends(3, false), 1234);
    agents.tick();
    assert.deepEqual(asked, []);
    agents.follow(backends(1), 1234);
    agents.tick();
    agents.tick();
    assert.deepEqual(asked, ['10.1.0.0']);
    agents.close();
  });
});
