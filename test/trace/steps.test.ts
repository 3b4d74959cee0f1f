/** What is said of what was seen: each way in which a probe ends, as it is told by the node, the agent and the answer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProbeRefused, type ProbeReport, type SeenProbe } from '#anyhop/agent/probe.js';
import type { TracedBackend, TraceReport } from '#anyhop/api/trace.js';
import { parseEndpoint } from '#anyhop/packet/compose.js';
import { decide } from '#anyhop/trace/decide.js';
import { hostSteps } from '#anyhop/trace/host.js';
import type { Step } from '#anyhop/trace/step.js';

const BACKEND: TracedBackend = {
  name: 'web-1',
  address: '10.1.0.11',
  id: 11,
  hasAgent: true,
  state: 'active',
  health: 'up',
  reachable: true,
  slots: 100,
  nextHop: { interface: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500 },
};
const REPORT: TraceReport = {
  node: 'edge-1',
  at: '2026-01-02T03:04:05.678Z',
  generation: 7,
  configFile: '/etc/anyhop/anyhop.yaml',
  engine: 'xdp',
  interface: 'eth0',
  source: '10.0.0.1:61000',
  destination: '203.0.113.10:80',
  answer: {
    verdict: 'forwarded',
    meaning: 'sent to a backend',
    service: 'web',
    pool: 'web',
    slot: 4,
    slots: 65537,
    owner: 'web-1',
    mode: 'normal',
  },
  frame:
    `020000000002020000000001080045000000000040004_2f00000a0000010a01000b00000800${'00'.repeat(40)}`.replace(
      '_',
      '0',
    ),
  source4: '10.0.0.1/32',
  agentPort: 9611,
  backends: [BACKEND],
};
const withBackend = (change: Partial<TracedBackend>, report: Partial<TraceReport> = {}): TraceReport => ({
  ...REPORT,
  ...report,
  backends: [{ ...BACKEND, ...change }],
});
const states = (steps: readonly Step[]): string[] => steps.map(({ step, state }) => `${step} ${state}`);

describe('the decision of a node', () => {
  it('has a way along the frame of its engine', () => {
    const { steps, way } = decide(REPORT, undefined);
    assert.deepEqual(states(steps), ['decide ok', 'encapsulate ok']);
    assert.equal(way!.outer.destination.text, '10.1.0.11');
    assert.match(steps[1]!.text, /made by the engine xdp itself/);
  });

  it('ends at a verdict that sends nothing, a slot of nobody, and a backend without a next hop', () => {
    const dropped = { verdict: 'drop_no_service', meaning: 'for a VIP, and no service' };
    for (const [report, end] of [
      [{ ...REPORT, answer: dropped, backends: [] }, 'decide failed'],
      [withBackend({}, { answer: { ...REPORT.answer, owner: null } }), 'decide failed'],
      [withBackend({ nextHop: { missing: 'no neighbour' } }), 'encapsulate failed'],
    ] as const) {
      const { steps, way } = decide(report, undefined);
      assert.equal(states(steps).at(-1), end);
      assert.equal(way, undefined);
    }
  });

  it('says of a blocked source who lists it and what spares it', () => {
    const answer = { verdict: 'drop_blocked', meaning: 'from an address that is blocked' };
    const [step] = decide({ ...REPORT, answer, backends: [] }, undefined).steps;
    assert.match(step!.mend!, /^anyhop defend status .*anyhop defend allow ADDRESS/);
  });

  it('is doubted when the engine sends to another machine than the next hop', () => {
    const other = { interface: 'eth0', mac: '02:00:00:00:00:99', mtu: 1500 };
    const [, step] = decide(withBackend({ nextHop: other }), undefined).steps;
    assert.equal(step!.state, 'failed');
    assert.match(step!.text, /sends to 02:00:00:00:00:02, and the next hop is 02:00:00:00:00:99/);
  });

  it('leads to a backend that owns no slot by headers as the engine would write them', () => {
    const report = withBackend(
      {
        name: 'web-2',
        address: '10.1.0.12',
        slots: 0,
        state: 'draining',
        health: 'down',
        healthReason: 'refused',
      },
      {},
    );
    const { steps, way } = decide(report, 'web-2');
    assert.deepEqual(states(steps), ['decide note', 'encapsulate note']);
    assert.match(steps[0]!.text, /it owns no slot.*it drains; its health check says down: refused/);
    assert.deepEqual([way!.outer.source.text, way!.outer.destination.text], ['10.0.0.1', '10.1.0.12']);
    assert.equal(way!.outer.key, undefined);
  });
});

describe('what an agent tells', () => {
  const IN: SeenProbe = { direction: 'in', kind: 'SYN', interface: 'eth0' };
  const out = (kind: SeenProbe['kind']): SeenProbe => ({ direction: 'out', kind, interface: 'eth1' });
  const told: ProbeReport = { version: '1.2.3', seen: [], fate: [], verdicts: {}, vipIsLocal: true };
  const { outer } = decide(REPORT, undefined).way!;
  const steps = (
    change: Partial<ProbeReport> | ProbeRefused,
    isAnswered: boolean,
    protocol: 'tcp' | 'udp' = 'tcp',
  ) =>
    hostSteps({
      name: 'web-1',
      address: '10.1.0.11',
      told: change instanceof ProbeRefused ? change : { ...told, ...change },
      outer,
      vip: parseEndpoint('203.0.113.10:80')!,
      protocol,
      client: parseEndpoint('10.0.0.1:1')!.address,
      isAnswered,
    });

  it('is good when the probe is passed on and answered, whatever else is counted', () => {
    const verdicts = { drop_stranger: 9 };
    assert.deepEqual(states(steps({ seen: [IN, out('SYN-ACK')], verdicts }, true)), ['agent ok', 'host ok']);
    assert.deepEqual(states(steps({ seen: [IN] }, false, 'udp')), ['agent ok', 'host ok']);
  });

  it('names what the host refuses, and that it says nothing', () => {
    const [, refused] = steps({ seen: [IN, out('RST')] }, true);
    assert.match(`${refused!.state} ${refused!.text}`, /^failed nothing listens on .* RST by eth1$/);
    const [, silent] = steps({ seen: [IN] }, false);
    assert.match(`${silent!.state} ${silent!.text}`, /^failed the host took the SYN and answers nothing$/);
  });

  it('is the verdict of the probe itself, or of any packet where the agent cannot tell', () => {
    const fate = [{ kind: 'SYN', verdict: 'drop_stranger' }] as const;
    const verdicts = { drop_stranger: 1, drop_no_service: 7 };
    const [own] = steps({ fate, verdicts }, false);
    assert.match(own!.text, /^the agent dropped the probe: drop_stranger: [^;]*$/);
    assert.match(own!.mend!, /add 10\.0\.0\.1 to agent\.forwarders/);
    const [any] = steps({ fate: null, verdicts }, false);
    assert.match(any!.text, /meanwhile it counted drop_stranger: .*; drop_no_service: /);
    const [none] = steps({ verdicts }, false);
    assert.match(
      none!.text,
      /the probe did not arrive there/,
      'others were dropped, and the probe was not seen',
    );
  });

  it('is missing for a reason, which is a failure only when no answer came either', () => {
    for (const [why, mend] of [
      ['absent', /ping 10\.1\.0\.11\)\? .*systemctl status anyhop-agent/],
      ['stranger', /add 10\.0\.0\.1 to agent\.forwarders/],
    ] as const) {
      const refusal = new ProbeRefused(why, 'the agent at 10.1.0.11:9611 says no');
      const [failed] = steps(refusal, false);
      assert.equal(failed!.state, 'failed');
      assert.match(failed!.mend!, mend);
      assert.deepEqual(states(steps(refusal, true)), ['agent note']);
    }
    const unknown = new ProbeRefused('unknown', 'the agent at 10.1.0.11:9611 answers 404');
    assert.deepEqual(states(steps(unknown, false)), ['agent unknown']);
  });
});
