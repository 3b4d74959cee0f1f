import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';

const main = 'dist/main.js';
const scripts = new Map<string, string>();

function script(shell: string): string {
  const text =
    scripts.get(shell) ?? execFileSync(process.execPath, [main, 'completion', shell], { encoding: 'utf8' });
  scripts.set(shell, text);
  return text;
}

/** What bash would offer for these words, the last of which is being typed. */
function offered(...words: string[]): string[] {
  const text = `${script('bash')}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _anyhop; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', text], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout.split('\n').filter((line) => line !== '');
}

describe('shell completion', () => {
  it("bash is offered the commands, a command's options, and an option's values", () => {
    assert.deepEqual(offered('anyhop', 'wh'), ['which']);
    assert.ok(offered('anyhop', 'run', '--').includes('--log-level'));
    assert.deepEqual(offered('anyhop', 'which', '--proto', ''), ['tcp', 'udp']);
    assert.deepEqual(offered('anyhop', 'completion', ''), ['bash', 'zsh', 'fish']);
  });

  it("every command is in every shell's script, with a sentence where the shell shows one", () => {
    const help = execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
    const commands = [...help.matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, name]) => name)
      .filter((name) => name !== 'help');
    assert.ok(commands.length >= 7, `found ${commands.join(', ')}`);
    for (const command of commands) {
      assert.match(script('bash'), new RegExp(`\\b${command}\\b`));
      assert.match(script('zsh'), new RegExp(`'${command}:\\w`));
      assert.match(script('fish'), new RegExp(`-a ${command} -d '\\w`));
    }
  });
});
