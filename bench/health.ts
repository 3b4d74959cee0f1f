/**
 * What does it cost to check 1000 backends every second? The share of one core that this process takes, user and system,
 * with the servers in another process. On loopback the kernel does the far end's work in the sender's name as well: a
 * network card would take that off. `--quick` measures one short round.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { HealthCheck } from '#anyhop/config/types.js';
import { createLog } from '#anyhop/core/log.js';
import { HealthChecks } from '#anyhop/health/health-checks.js';
import { Probes } from '#anyhop/health/probes.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const [ROUNDS, ROUND_MS] = quick ? [1, 500] : [5, 2000];
const BACKENDS = quick ? 100 : 1000;
const TARGETS = { tcp: 20, http: 40 } as const;

const server = fork(fileURLToPath(new URL('./health/server.js', import.meta.url)), { silent: true });
try {
  const [port] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
  const http = {
    path: '/',
    host: undefined,
    status: { first: 200, last: 399 },
    body: undefined,
    tls: undefined,
  };
  await measure({ kind: 'tcp', port: Number(port) });
  await measure({ kind: 'http', port: Number(port), ...http });
} finally {
  server.disconnect();
}

async function measure(check: HealthCheck & { kind: keyof typeof TARGETS }): Promise<void> {
  const timing = { intervalMs: 1000, timeoutMs: 900, rise: 2, fall: 3, jitter: 0.1 };
  let changes = 0;
  let done = 0;
  const probes = new Probes({
    interface: 'lo',
    source4: undefined,
    source6: undefined,
    isLocal: () => false,
  });
  const checks = new HealthChecks({
    log: createLog('silent'),
    probe: (target, finish) =>
      probes.make(target, (failure, isOwnFault) => {
        done++;
        finish(failure, isOwnFault);
      }),
  });
  const targets = Array.from({ length: BACKENDS }, (_, i) => ({
    name: `web/web-${i}`,
    address: parseAddress(`127.0.${1 + (i >> 8)}.${i & 255}`)!,
    checks: [{ ...timing, ...check }],
  }));
  await checks.setTargets(targets);
  const down = [...checks.current().values()].filter(({ isUp }) => !isUp);
  if (down.length > 0) throw new Error(`${down.length} are down: ${down[0].reason}`);
  checks.onChange(() => changes++);
  await delay(quick ? 500 : 2000); // the first round, and what the compiler still does
  const shares: number[] = [];
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [cpu, startMs, before] = [process.cpuUsage(), performance.now(), done];
    await delay(ROUND_MS);
    const { user, system } = process.cpuUsage(cpu);
    const ms = performance.now() - startMs;
    shares.push((user + system) / 1000 / ms);
    rates.push(((done - before) / ms) * 1000);
  }
  checks.close();
  if (changes > 0) throw new Error(`${changes} changes of backends that are up`);
  report({
    bench: `health checks, ${check.kind}, ${BACKENDS} backends each second`,
    value: median(shares) * 100,
    unit: '% of a core',
    target: TARGETS[check.kind],
    note: `${Math.round(median(rates))} checks a second`,
  });
}
