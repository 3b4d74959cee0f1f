/** A process that waits for its first revision, and is ended: its word must not stay in the store as that of one that answers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/lab/command.js';
import { PROGRAM } from '../../scripts/lab/lab.js';
import { LabProcess } from '../../scripts/lab/process.js';
import { isInstalled } from '../isolation.js';
import { startEtcd } from './etcd.js';
import { until } from './fleet.js';

const skip = ['etcd', 'etcdctl'].every(isInstalled) ? false : 'needs etcd and etcdctl';
const TIMEOUT_MS = 60_000;

test('a process that is ended before its first revision takes its word back', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-ended-'));
  const etcd = await startEtcd();
  try {
    const [endpoint] = etcd.endpoints;
    const key = join(directory, 'operator.key');
    const init = [PROGRAM, 'fleet', 'init', '--name', 'edge', '--endpoint', endpoint!, '--key', key];
    const section = await run([process.execPath, ...init]);
    const file = join(directory, 'anyhop.yaml');
    writeFileSync(file, `node: {name: edge-1, state_dir: ${directory}}\n${section}`);
    const said = () => etcd.ctl('get', '--prefix', '/anyhop/edge/nodes/', '--keys-only');
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const node = await LabProcess.start('node', undefined, [process.execPath, PROGRAM, 'run', '-c', file]);
      await until('it says what it is', async () => (await said()).includes('forwarder/edge-1'));
      process.kill(node.pid, signal);
      await node.exited;
      assert.equal((await said()).trim(), '');
    }
  } finally {
    await etcd.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
