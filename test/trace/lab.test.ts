/** `anyhop trace` in a lab: each thing that goes wrong on a packet's way is named by the step where it happens. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { TraceResult } from '#anyhop/cli/trace.js';
import type { Step } from '#anyhop/trace/step.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { fourMixes } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import { backendAddresses, VIP4, VIP6 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 60_000;
const CLIENT = '192.0.2.10:40000';
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));
const WAIT = ['--wait', '1500'];

describe('a trace of a fleet', { skip: missingForLab()?.message ?? false }, () => {
  let lab: Lab;

  before(
    async () => {
      const services = fourMixes(BACKENDS).map((each) => ({ ...each, secondChance: 'on' as const }));
      lab = await createLab({ forwarders: 1, backends: 3, engine: 'xdp', services });
      await lab.startAll();
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  /** @returns what it printed, and its exit code */
  const anyhop = (...args: string[]): Promise<{ readonly code: number; readonly text: string }> => {
    const argv = inNamespace(lab.forwarders[0]!.namespace, [process.execPath, PROGRAM, 'trace', ...args]);
    const socket = ['--socket', lab.socket(0)];
    return new Promise((resolve) => {
      execFile(argv[0]!, [...argv.slice(1), ...socket], (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), text: out + err });
      });
    });
  };
  const traced = async (...args: string[]): Promise<TraceResult> => {
    const { text } = await anyhop(...args, ...WAIT, '--json');
    return JSON.parse(text);
  };
  const stepsOf = ({ traces }: TraceResult, which = 0): Record<string, Step> =>
    Object.fromEntries(traces[which]!.steps.map((step) => [step.step, step]));
  const states = (result: TraceResult): string =>
    result.traces
      .map(({ steps }) => steps.map(({ step, state }) => `${step} ${state}`).join(', '))
      .join('; ');

  test('is well on every mix of IP versions, and says what the engine sends and what came back', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const results = await Promise.all([
      traced(CLIENT, `${VIP4}:80`),
      traced('[2001:db8:1::10]:40000', `[${VIP6}]:80`),
      traced(CLIENT, `${VIP4}:8080`),
      traced('[2001:db8:1::10]:40000', `[${VIP6}]:8080`),
    ]);
    for (const [i, result] of results.entries()) {
      assert.ok(result.ok, states(result));
      const { decide, encapsulate, answer, mtu } = stepsOf(result);
      assert.equal(decide!.facts!['owner'], result.traces[0]!.backend);
      assert.equal(encapsulate!.facts!['byEngine'], true);
      assert.match(answer!.text, /^SYN-ACK from \S+ port (80|8080) after/);
      const overhead = [28, 48, 48, 28][i]!; // with a key
      assert.deepEqual(
        [mtu!.state, mtu!.facts!['arrives'], mtu!.facts!['client']],
        ['ok', 1600, 1600 - overhead],
      );
    }
  });
});
