/** What a node's health leaves behind when it ends while it is being set up, as in a start that is refused. */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import { createLog } from '#anyhop/core/log.js';
import { Probes } from '#anyhop/health/probes.js';
import { NodeHealth, type ProbeMaker } from '#anyhop/node/node-health.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { NamedBackend } from '#anyhop/pool/membership.js';

const address = parseAddress('127.0.0.1')!;
const timing = { intervalMs: 60_000, timeoutMs: 300, rise: 1, fall: 1, jitter: 0 };
const tunnel = { ...timing, kind: 'tunnel', endpoints: [{ vip: address, port: 80 }] } as const;

function socketsOfThisProcess(): string[] {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the one of the directory itself
    }
  });
  return targets.filter((target) => target.startsWith('socket:')).sort();
}

describe('health that is closed while its checks are prepared', () => {
  it('starts none of them', async () => {
    const made: string[] = [];
    let goOn = (): void => {};
    const probes: ProbeMaker = {
      prepare: () => new Promise((resolve) => (goOn = resolve)),
      make({ name }) {
        made.push(name);
        return { start() {}, cancel: () => '' };
      },
      close() {},
    };
    const health = new NodeHealth(createLog('silent'), probes);
    const backend = { name: 'b', address } as NamedBackend['backend'];
    const pool = {
      name: 'a',
      health: [{ ...timing, kind: 'tcp', port: 1 }],
    } as unknown as NamedBackend['pool'];
    const checked = health.check([{ pool, backend }]);
    health.close();
    goOn();
    await checked;
    assert.deepEqual(made, []);
  });

  it('opens no socket, which would keep the process alive', async () => {
    const probes = new Probes({
      interface: 'lo',
      source4: undefined,
      source6: undefined,
      isLocal: () => false,
    });
    const before = socketsOfThisProcess();
    const prepared = probes.prepare([{ name: 'a/b', address, checks: [tunnel] }]);
    probes.close();
    await prepared;
    assert.deepEqual(socketsOfThisProcess(), before);
  });
});
