/** diff: from sockets, files and standard input to one answer and its exit code. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { fakeNode } from '../api/fake-node.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { anyhop } from './client.js';

const directory = mkdtempSync(join(tmpdir(), 'ah-diff-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: unknown): string {
  const path = join(directory, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const members = ['web-1', 'web-2', 'web-3'].map((name) => backendStatus(name));
const without = members.map((one) =>
  one.name === 'web-2' ? { ...one, health: 'down' as const, healthReason: 'no route' } : one,
);
const { remembered } = poolStatus('web', members);
const api = poolStatus('api', [backendStatus('api-1')]);
const edge1: NodeStatus = nodeStatus({ pools: [poolStatus('web', members), api] });
const edge2: NodeStatus = nodeStatus({
  node: 'edge-2',
  pools: [poolStatus('web', without, { remembered }), api],
});

describe('diff', () => {
  it('ends with 0 and says so when two nodes agree', async () => {
    const node = await fakeNode({ status: async () => edge1 });
    const other = file('same.json', { ...edge1, node: 'edge-9' });
    const { code, stdout } = await anyhop(['diff', node.socket, other]);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      'edge-1 and edge-9 send every flow to the same backend\n2 pools with the same digests\n',
    );
    const itself = await anyhop(['diff', node.socket, node.socket, '--json']);
    await node.close();
    assert.equal(itself.code, 0);
    assert.equal(JSON.parse(itself.stdout).same, true);
  });

  it('says that versions of the flow hash differ, also of a node that does not tell its own', async () => {
    const { flowHashVersion: _, ...former } = edge1;
    const other = file('former.json', { ...former, node: 'edge-9' });
    const { code, stdout } = await anyhop(['diff', file('a.json', edge1), other]);
    assert.equal(code, 1);
    assert.equal(
      stdout,
      'edge-1 and edge-9 differ\ntheir flow hashes differ (versions 2 and 1): nearly every flow has another backend\n' +
        '2 pools with the same digests\n',
    );
  });

  it('ends with 1, names what differs, and counts the slots and the connections that would break', async () => {
    const { code, stdout } = await anyhop(['diff', file('a.json', edge1), '-'], JSON.stringify(edge2));
    assert.equal(code, 1);
    const lines = stdout.split('\n');
    assert.deepEqual(lines.slice(0, 6), [
      'edge-1 and edge-2 differ',
      '1 pool with the same digests',
      '',
      'pool web: owners differ, alternates differ',
      '  NAME   WHAT    edge-1  edge-2',
      '  web-2  health  up      down: no route',
    ]);
    const { slots } = edge1.pools[0].backends[1];
    assert.match(lines[6], new RegExp(`^  The owner differs in ${slots} slots \\([0-9.]+ %\\)\\.$`));
    assert.match(
      lines[7],
      /^ {2}Connections of edge-1 would break on edge-2 in 0 slots \(0 %\), even with second/,
    );
    for (const line of lines) assert.ok(line.length <= 100, line);
  });

  it('calls nodes of one name by where they were read from', async () => {
    const [a, b] = [file('one.json', edge1), file('other.json', { ...edge2, node: 'edge-1' })];
    const { stdout } = await anyhop(['diff', a, b]);
    assert.match(stdout, new RegExp(`^${a} and ${b} differ\n`));
  });

  it('refuses what is no status with exit code 2, and says where it is wrong', async () => {
    const good = file('good.json', edge1);
    const broken = { ...edge1, pools: [{ ...edge1.pools[0], slots: 'many' }] };
    const twice = { ...edge1, pools: [{ ...edge1.pools[0], backends: [members[0], members[0]] }] };
    for (const [other, message] of [
      [file('empty.json', ''), /empty\.json is not JSON/],
      [file('other.json', '{"node":"x"}'), /is not the status of a node: keyFingerprint/],
      [file('broken.json', broken), /is not the status of a node: pools\.0\.slots/],
      [file('twice.json', twice), /cannot build tables from these statuses: two members are named web-1/],
      [join(directory, 'missing.json'), /cannot read .*missing\.json: it does not exist/],
      [directory, /cannot read/],
    ] as const) {
      const { code, stderr } = await anyhop(['diff', good, other]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    }
    assert.equal((await anyhop(['diff', '-', '-'])).code, 2);
    assert.equal((await anyhop(['diff', good])).code, 2);
  });
});
