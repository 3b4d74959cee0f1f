/** What a command costs before it does anything: it loads its own modules and no others. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';

const MAIN = 'dist/main.js';
const WATCH_LOADING = new URL('./watch-loading.js', import.meta.url).href;

function run(args: readonly string[], hangupAt = ' ') {
  const { status, signal, stderr } = spawnSync(process.execPath, ['--import', WATCH_LOADING, MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, HANGUP_AT: hangupAt },
  });
  const lines = stderr.split('\n');
  const loaded = lines.filter((line) => line.startsWith('loads '));
  return { status, signal, loaded, said: lines.filter((line) => !loaded.includes(line)).join('\n') };
}

describe('starting', () => {
  it('`anyhop ready`, which is called every second, loads nothing of the data plane, the config or the log', () => {
    const { status, loaded, said } = run(['ready', '--socket', '/nonexistent/anyhop.sock']);
    assert.equal(status, 1);
    assert.match(said, /not ready: /);
    assert.ok(loaded.some((url) => url.endsWith('/dist/cli/ready.js')));
    const others = loaded.filter((url) =>
      /node_modules\/(?!commander)|dist\/(config\/(load|schema)|engine|ffi|forward|maglev)\b/.test(url),
    );
    assert.deepEqual(others, []);
  });

  for (const command of ['run', 'agent']) {
    it(`a SIGHUP while \`anyhop ${command}\` loads its modules does not end it`, () => {
      const { status, signal, said } = run([command, '-c', '/nonexistent.yaml'], `/dist/cli/${command}.js`);
      assert.deepEqual([status, signal], [2, null]);
      assert.match(said, /nonexistent\.yaml/);
    });
  }

  it('a SIGHUP ends a command that has nothing to reload', () => {
    assert.equal(run(['check', '-c', '/nonexistent.yaml'], '/dist/cli/check.js').signal, 'SIGHUP');
  });

  it('every command of the help is found by its name', () => {
    const help = execFileSync(process.execPath, [MAIN, '--help'], { encoding: 'utf8' });
    const names = [...help.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    assert.ok(names.length >= 19, names.join(' '));
    for (const name of names.filter((each) => each !== 'help')) {
      const { stdout } = spawnSync(process.execPath, [MAIN, name, '--help'], { encoding: 'utf8' });
      assert.match(stdout, new RegExp(`^Usage: anyhop ${name} `));
    }
  });
});
