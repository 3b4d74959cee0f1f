import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { isInstalled } from '../isolation.js';

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

  it('bash is offered the commands of a group, and what each of them takes', () => {
    assert.deepEqual(offered('anyhop', 'l7', 'st'), ['status']);
    assert.ok(offered('anyhop', 'l7', '').includes('drain'));
    assert.ok(offered('anyhop', 'l7', 'run', '--').includes('--run-dir'));
    assert.ok(
      !offered('anyhop', 'run', '--').includes('--run-dir'),
      'the command of the same name stays as it is',
    );
    assert.ok(offered('anyhop', 'l7', 'run', '--log-level', '').includes('debug'));
  });

  it('an option that the help text shows under a heading says in the shell what it goes with', () => {
    assert.match(script('fish'), /-l vrid -d 'with --print keepalived: virtual router ID/);
    assert.match(script('zsh'), /'--once\[with --region\\: ask each node once/);
  });

  it("the scripts are good in their shell's eyes", () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      if (!isInstalled(shell)) continue;
      const { status, stderr } = spawnSync(shell, ['-n'], { input: script(shell), encoding: 'utf8' });
      assert.equal(status, 0, `${shell}: ${stderr}`);
    }
  });

  it("every command is in every shell's script, with a sentence where the shell shows one", () => {
    const help = execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
    const commands = [...help.matchAll(/^ {2}([a-z0-9]+) /gm)]
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
