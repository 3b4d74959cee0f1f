/** What a backend's agent lacks: of the services of a pool, and of no others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentStatus } from '#anyhop/api/status.js';
import { agentFor } from '#anyhop/node/agent-lacks.js';
import { NODE, parse } from '../config/fixture.js';

const { services } = parse(
  `${NODE}pools: {web: {backends: [{name: a, address: 10.1.0.1}]}}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: api, vip: 203.0.113.11, protocol: tcp, port: 80, pool: web}
  - {name: dns, vip: 203.0.113.53, protocol: udp, port: 53, pool: web}
`,
  'flow',
);
const at = '2024-05-01T12:00:00.000Z';

test('what an agent lacks is what the services of the pool need there', () => {
  const lacks = (agent: Partial<AgentStatus>) => {
    const { missingVips, unknownVips } = agentFor(services, { reachable: true, at, ...agent })!;
    return { missingVips, unknownVips };
  };
  const all = ['203.0.113.10', '203.0.113.11', '203.0.113.99'];
  const nothing = { missingVips: undefined, unknownVips: undefined };
  assert.deepEqual(lacks({ vips: all }), nothing);
  assert.deepEqual(lacks({ vips: all, missingVips: ['203.0.113.99'] }), nothing, 'of another pool');
  assert.deepEqual(lacks({ vips: all, missingVips: ['203.0.113.53', '203.0.113.10'] }), {
    missingVips: ['203.0.113.53', '203.0.113.10'],
    unknownVips: undefined,
  });
  // An agent lists the VIPs of TCP services alone.
  assert.deepEqual(lacks({ vips: ['203.0.113.11'] }), { ...nothing, unknownVips: ['203.0.113.10'] });
  const silent: AgentStatus = { reachable: false, at, why: 'ECONNREFUSED' };
  assert.equal(agentFor(services, silent), silent);
  assert.equal(agentFor(services, undefined), undefined);
});
