/**
 * The walk of `docs/getting-started.md`, done as it is written: each block of shell code, in one shell, and what the page says
 * that one sees. Only the names of machines and folders are this test's own.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { after, it } from 'node:test';
import { newLabName, removeNamespace, removeStaleLabs } from '../../scripts/lab/names.js';
import { missingForIsolation } from '../isolation.js';

const PAGE = 'docs/getting-started.md';
const MACHINES = ['client', 'router', 'edge', 'web'];
const WALK_MS_MAX = 120_000;
const END = '@@ end of block';

const lab = newLabName();
const folder = `build/walk-${lab}`;

after(() => {
  for (const machine of MACHINES) removeNamespace(`${lab}-${machine}`);
  rmSync(folder, { recursive: true, force: true });
  rmSync(`/run/anyhop/${lab}-edge.sock`, { force: true });
});

interface Step {
  readonly commands: string;
  /** Lines that the page shows of what they print. */
  readonly seen: readonly string[];
}

function steps(page: string): Step[] {
  const blocks = [...page.matchAll(/^```(sh|text)\n([\s\S]*?)^```$/gm)].map(([, kind, text]) => ({
    kind,
    text,
  }));
  return blocks.flatMap(({ kind, text }, i) => {
    if (kind !== 'sh') return [];
    const next = blocks[i + 1];
    const commands = text
      .replaceAll('lab-', `${lab}-`)
      .replaceAll('build/walk', folder)
      // Other nodes may run on this machine.
      .replaceAll(/anyhop (ready|status)\b/g, `anyhop $1 --socket /run/anyhop/${lab}-edge.sock`)
      .replace(/^make build$/m, 'true');
    return [{ commands, seen: next?.kind === 'text' ? next.text.trim().split('\n') : [] }];
  });
}

it('the walk for newcomers shows what its page says, step by step', {
  skip: missingForIsolation('bash', 'curl', 'ethtool', 'ping', 'python3', 'nsenter'),
}, () => {
  removeStaleLabs();
  const walk = steps(readFileSync(PAGE, 'utf8'));
  assert.ok(walk.length >= 10, 'the page has steps');
  const script = walk.map(({ commands }) => `${commands}\necho '${END}'\n`).join('');
  // Job control, as in a shell that somebody types into: `kill %1` means a whole job.
  const { status, stdout, stderr } = spawnSync('bash', ['-e', '-c', `set -m\n${script}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: WALK_MS_MAX,
    killSignal: 'SIGKILL',
  });
  const printed = stdout.split(`${END}\n`);
  for (const [i, { commands, seen }] of walk.entries()) {
    const done = i < printed.length - 1;
    assert.ok(done, `exit code ${status} at:\n${commands}\n${printed[i]}\n${stderr}`);
    for (const line of seen)
      assert.ok(
        printed[i].includes(line),
        `"${line}" is not in what this prints:\n${commands}\n${printed[i]}`,
      );
  }
  assert.equal(status, 0, stderr);
});
