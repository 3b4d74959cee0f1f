/** `anyhop trace` in a lab: each thing that goes wrong on a packet's way is named by the step where it happens. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import type { TraceResult } from '#anyhop/cli/trace.js';
import { drawTraces } from '#anyhop/cli/trace-text.js';
import type { Step } from '#anyhop/trace/step.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { changeConfig, fourMixes } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { backendAddresses, VIP4, VIP6 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 60_000;
const CLIENT4 = '192.0.2.10:40000';
const CLIENT6 = '[2001:db8:1::10]:40000';
const COUNT = 6;
const BACKENDS = Array.from({ length: COUNT }, (_, i) => ({
  name: `web-${i + 1}`,
  ...backendAddresses(i + 1),
}));
const UDP = { name: 'dns', vip: VIP4, protocol: 'udp', port: 53, pool: 'v4-over-v4' };

describe('a trace', { skip: missingForLab(['nft'])?.message ?? false }, () => {
  let lab: Lab;
  let agents: LabProcess[];

  before(
    async () => {
      const services = fourMixes(BACKENDS).map((each) => ({ ...each, secondChance: 'on' as const }));
      lab = await createLab({ forwarders: 1, backends: COUNT, engine: 'xdp', services });
      for (const file of [lab.configFile, lab.nodeFile(0)])
        changeConfig(file, (config) => config.services.push(UDP));
      agents = (await lab.startAll()).agents;
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  const printedIn = (
    namespace: string,
    ...args: string[]
  ): Promise<{ readonly code: number; readonly out: string }> => {
    const argv = inNamespace(namespace, [process.execPath, PROGRAM, 'trace', ...args]);
    return new Promise((resolve) => {
      execFile(argv[0]!, [...argv.slice(1), '--socket', lab.socket(0)], (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out: out + err });
      });
    });
  };
  const printed = (...args: string[]) => printedIn(lab.forwarders[0]!.namespace, ...args);
  const traced = async (...args: string[]): Promise<TraceResult> => {
    const { out, code } = await printed(...args, '--json');
    assert.ok(out.startsWith('{'), out);
    const result: TraceResult = JSON.parse(out);
    assert.equal(code, result.ok ? 0 : 1);
    return result;
  };
  const stepsOf = ({ traces }: TraceResult, backend = traces[0]!.backend): Record<string, Step | undefined> =>
    Object.fromEntries(
      traces.find((each) => each.backend === backend)!.steps.map((step) => [step.step, step]),
    );
  const failures = (result: TraceResult, backend?: string): string[] =>
    Object.values(stepsOf(result, backend)).flatMap((step) => (step?.state === 'failed' ? step.step : []));
  const all = (result: TraceResult): string => JSON.stringify(result.traces, null, 1);
  const nft = async (...commands: string[]): Promise<void> => {
    for (const command of commands) await lab.exec(lab.router, ['nft', command]);
  };
  const onBackend = (number: number, command: string): Promise<string> =>
    lab.exec(lab.backends[number - 1]!.namespace, command.split(' '));

  test('is well on every mix of IP versions, and says what the engine sends and who takes it', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const wait = ['--wait', '5000'];
    // These first: what others make the router say would keep it from saying more.
    const hopped = await Promise.all([
      traced(CLIENT4, `${VIP4}:80`, '--hops', ...wait),
      traced(CLIENT6, `[${VIP6}]:80`, '--hops', ...wait),
    ]);
    const others = await Promise.all([
      traced(CLIENT4, `${VIP4}:8080`, ...wait),
      traced(CLIENT6, `[${VIP6}]:8080`, ...wait),
    ]);
    for (const [i, result] of [...hopped, ...others].entries()) {
      assert.ok(result.ok, all(result));
      const { decide, encapsulate, agent, host, answer, second_chance: chance, mtu } = stepsOf(result);
      assert.equal(decide!.facts!['owner'], result.traces[0]!.backend);
      assert.equal(encapsulate!.facts!['byEngine'], true);
      assert.deepEqual([agent!.state, host!.state, chance!.state], ['ok', 'ok', 'ok'], all(result));
      assert.match(agent!.text, /took the probe and passed it to the host on eth0 \(seen there\)/);
      assert.match(host!.text, /^a socket answers SYN-ACK, which leaves by eth0$/);
      assert.match(answer!.text, /^SYN-ACK from \S+ port (80|8080) after/);
      if (i < 2) {
        const router = lab.forwarders[0]![i === 0 ? 'router4' : 'router6'];
        assert.deepEqual(stepsOf(result)['hops']!.facts, { hops: [router], arrives: true });
      }
      // The owner and two alternates, by what the agents saw.
      const way = chance!.facts!['way'] as string[];
      assert.equal(way.length, 3);
      assert.deepEqual([way[0], way[2]], [result.traces[0]!.backend, chance!.facts!['end']]);
      const overhead = [28, 48, 48, 28][i]!; // with a key
      assert.deepEqual(
        [mtu!.state, mtu!.facts!['arrives'], mtu!.facts!['client']],
        ['ok', 1600, 1600 - overhead],
      );
    }
  });

  test('of UDP says whether something listens, which no answer needs to say', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const closed = await traced('--proto', 'udp', CLIENT4, `${VIP4}:53`);
    assert.deepEqual(failures(closed), ['host', 'answer'], all(closed));
    assert.match(stepsOf(closed)['host']!.text, /nothing listens on .*: the host answers port unreachable/);
  });

  test('names the step and the fault of each backend that has one, and is well for the one that has none', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await onBackend(2, `ip addr del ${VIP4} dev lo`);
    await lab.servers[2]!.stop();
    await Promise.all([agents[3]!.stop('SIGINT'), agents[4]!.stop('SIGINT')]);
    changeConfig(lab.configFile, ({ agent }) => {
      agent.forwarders = ['10.9.9.9'];
    });
    await lab.startAgent(4);
    // What is too big for the way to web-6 vanishes, and nobody says so.
    await nft('add table ip narrow', 'add chain ip narrow way { type filter hook forward priority 0; }');
    await nft('add rule ip narrow way ip daddr 10.1.6.1 meta length > 1454 drop');

    const result = await traced(`${VIP4}:80`, '--all-backends');
    const found = Object.fromEntries(
      result.traces.map(({ backend }) => [backend, failures(result, backend!)]),
    );
    assert.deepEqual(
      found,
      {
        'web-1': [],
        'web-2': ['agent', 'answer'],
        'web-3': ['host', 'answer'],
        'web-4': ['agent', 'answer'],
        'web-5': ['agent', 'answer'],
        'web-6': ['mtu'],
      },
      all(result),
    );
    // Each by a flow that the node found for it.
    for (const { backend } of result.traces)
      assert.equal(stepsOf(result, backend)['encapsulate']!.facts!['byEngine'], true);
    const said = (backend: string, step: string): string => {
      const { text, mend } = stepsOf(result, backend)[step]!;
      return `${text}\n${mend}`;
    };
    assert.match(
      said('web-2', 'agent'),
      /^the agent dropped the probe: drop_vip_not_local: .*\n.*ip addr add 203\.0\.113\.10\/32 dev lo/,
    );
    assert.match(
      said('web-3', 'host'),
      /nothing listens on 203\.0\.113\.10:80: the host answers RST by eth0\n.*ss -ltn/,
    );
    assert.match(
      said('web-4', 'agent'),
      /does not answer: connection refused\n.*systemctl status anyhop-agent/,
    );
    assert.match(said('web-5', 'agent'), /hangs up: .*\n.*add 10\.0\.1\.1 to agent\.forwarders/);
    const { arrives, believed } = stepsOf(result, 'web-6')['mtu']!.facts!;
    assert.deepEqual([arrives, believed], [1454, 1600]);
    assert.match(said('web-6', 'mtu'), /larger ones vanish, and nobody says so.*\n.*mtu 1454/);

    // A way over a backend with one of these faults is broken, and no failure of those before; that a server is down breaks none.
    for (const { steps } of result.traces) {
      const chance = steps.find(({ step }) => step === 'second_chance');
      const [, ...alternates] = (chance?.facts?.['way'] ?? []) as string[];
      if (chance?.state === 'ok') assert.ok(!alternates.includes('web-4') && !alternates.includes('web-5'));
      if (chance?.state === 'note') assert.match(alternates.join(), /web-[245]/);
    }
    const table = drawTraces(result);
    assert.match(table, /^ok +web-1 +[\d.]+ ms/m);
    assert.match(table, /^FAILED +web-3 .*nothing listens on/m);
  });

  test('names the router that says what fits, and from which the node learns it', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await nft('delete table ip narrow');
    await lab.exec(lab.router, ['ip', 'link', 'set', 'web-6', 'mtu', '1480']);
    const narrow = await traced(`${VIP4}:80`, '--backend', 'web-6');
    const { state, facts, text } = stepsOf(narrow)['mtu']!;
    assert.deepEqual([state, facts!['arrives'], facts!['route']], ['note', 1480, 1600], text);
    // The node may have learned it by now from the first of the probes.
    if (facts!['believed'] === 1600) assert.equal(facts!['router'], lab.forwarders[0]!.router4);
    assert.ok(narrow.ok);
  });

  test('says that an answer is lost on the way back, and that no packet leaves', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { host4, namespace } = lab.forwarders[0]!;
    await nft('add table ip hole', 'add chain ip hole way { type filter hook forward priority 0; }');
    await nft(`add rule ip hole way ip saddr ${VIP4} ip daddr ${host4} drop`);
    await lab.exec(namespace, ['ip', 'route', 'add', 'unreachable', '10.1.2.0/24']);
    const [lost, unsent] = await Promise.all([
      traced(`${VIP4}:80`, '--backend', 'web-1'),
      (async () => {
        const isGone = async (): Promise<boolean> => {
          const { pools } = (await ask(lab.socket(0), '/status')) as NodeStatus;
          return pools.some(({ backends }) => backends.some(({ nextHop }) => 'missing' in nextHop));
        };
        for (let i = 0; i < 500 && !(await isGone()); i++) await delay(20);
        return traced(`${VIP4}:80`, '--backend', 'web-2');
      })(),
    ]);
    assert.deepEqual(failures(lost), ['answer'], all(lost));
    assert.deepEqual((stepsOf(lost)['agent']!.facts!['fate'] as object[])[0], {
      kind: 'SYN',
      verdict: 'delivered',
    });
    assert.match(
      stepsOf(lost)['answer']!.text,
      /although the answer left the backend: it is lost on the way back/,
    );
    assert.deepEqual(failures(unsent), ['encapsulate'], all(unsent));
    assert.match(stepsOf(unsent)['encapsulate']!.text, /^no packet leaves for web-2 \(10\.1\.2\.1\): /);
  });

  test('refuses what it cannot trace with exit code 2, and says what the node would drop', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const [elsewhere, families, nonsense, dropped, none] = await Promise.all([
      printedIn(lab.router, CLIENT4, `${VIP4}:80`),
      printed(CLIENT4, `[${VIP6}]:80`),
      printed('nonsense'),
      traced(CLIENT4, `${VIP4}:81`),
      traced(`${VIP4}:80`, '--backend', 'web-9'),
    ]);
    assert.deepEqual([elsewhere.code, families.code, nonsense.code], [2, 2, 2]);
    assert.match(elsewhere.out, /^anyhop: edge-1 runs in another network namespace .*\n.*--target \d+ /);
    assert.match(stepsOf(dropped)['decide']!.text, /^drop_no_service: /);
    assert.match(stepsOf(dropped)['decide']!.mend!, /anyhop status/);
    assert.match(stepsOf(none)['decide']!.text, /has no backend web-9/);
  });
});
