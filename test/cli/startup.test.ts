/** What a command costs before it does anything: it loads its own modules and no others. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

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

/** The modules that were joined into a file (scripts/bundle.mjs): each stands under its name. */
const modulesIn = (path: string): string[] =>
  [...readFileSync(path, 'utf8').matchAll(/^\/\/ ((?:dist|node_modules)\/.*)$/gm)].map(
    ([, name = '']) => name,
  );

/** The end of the name of the file that a module was joined into. */
function partWith(module: string): string {
  const part = readdirSync('dist').find(
    (name) => /^part-.*\.js$/.test(name) && modulesIn(join('dist', name)).includes(module),
  );
  assert.ok(part !== undefined, module);
  return `/dist/${part}`;
}

/** It asks for a second whether there is a node. */
const WAITING = ['ready', '--wait', '1', '--socket', '/nonexistent/anyhop.sock'];

function signalled(
  program: string,
  args: string[],
  afterMs: number,
): Promise<{ said: string; code: number | null }> {
  const child = spawn(program, [...args, ...WAITING], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  setTimeout(() => child.kill('SIGUSR1'), afterMs);
  return new Promise((done) => child.on('close', (code) => done({ said, code })));
}

describe('starting', () => {
  it('`anyhop ready`, which is called every second, loads nothing of the data plane, the config or the log', () => {
    const { status, loaded, said } = run(['ready', '--socket', '/nonexistent/anyhop.sock']);
    assert.equal(status, 1);
    assert.match(said, /not ready: /);
    const files = loaded.map((line) => line.replace('loads ', '')).filter((url) => url.startsWith('file:'));
    const modules = files.map((url) => fileURLToPath(url)).flatMap((path) => [path, ...modulesIn(path)]);
    assert.ok(modules.includes('dist/cli/ready.js'));
    const others = modules.filter((name) =>
      /node_modules\/(?!commander)|dist\/(config\/(load|schema)|engine|ffi|forward|maglev)\b/.test(name),
    );
    assert.deepEqual(others, []);
  });

  for (const command of ['run', 'agent']) {
    it(`a SIGHUP while \`anyhop ${command}\` loads its modules does not end it`, () => {
      const { status, signal, said } = run(
        [command, '-c', '/nonexistent.yaml'],
        partWith(`dist/cli/${command}.js`),
      );
      assert.deepEqual([status, signal], [2, null]);
      assert.match(said, /nonexistent\.yaml/);
    });
  }

  it('a SIGHUP ends a command that has nothing to reload', () => {
    assert.equal(run(['check', '-c', '/nonexistent.yaml'], partWith('dist/cli/check.js')).signal, 'SIGHUP');
  });

  it('a SIGUSR1 at any moment of the start, of Node itself too, opens no debugger', async () => {
    const moments = Array.from({ length: 14 }, (_, i) => i * 25);
    const ends = await Promise.all(moments.map((afterMs) => signalled(resolve(MAIN), [], afterMs)));
    for (const [i, { said, code }] of ends.entries()) {
      assert.doesNotMatch(said, /Debugger/, `${moments[i]} ms`);
      // Before Node takes signals, this one ends it as it ends any program.
      assert.ok(code === 1 || (code === null && said === ''), `${moments[i]} ms: ${code} ${said}`);
    }
    assert.ok(ends.some(({ code }) => code === 1));
  });

  it('a SIGUSR1 opens none either when main.js is given to node', async () => {
    const { said, code } = await signalled(process.execPath, [MAIN], 1000);
    assert.deepEqual([said.includes('Debugger'), code], [false, 1]);
  });

  it('NODE_OPTIONS opens no debugger', async () => {
    const env = { ...process.env, NODE_OPTIONS: '--inspect=127.0.0.1:0' };
    const direct = spawnSync(resolve(MAIN), ['schema'], { encoding: 'utf8', env });
    assert.deepEqual([direct.status, direct.stderr], [0, '']);
    // Node opens it before anything of ours runs, and it is closed then.
    const child = spawn(process.execPath, [MAIN, ...WAITING], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      let said = '';
      for await (const text of child.stderr.setEncoding('utf8')) {
        said += text;
        if (said.includes('For help')) break;
      }
      const port = Number(/ws:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
      const isOpen = (): Promise<boolean> =>
        new Promise((answer) => {
          const socket = connect(port, '127.0.0.1', () => answer(true)).on('error', () => answer(false));
          socket.on('connect', () => socket.destroy());
        });
      const deadline = Date.now() + 5000;
      while (await isOpen()) assert.ok(Date.now() < deadline, 'the debugger stays open');
    } finally {
      child.kill();
    }
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
