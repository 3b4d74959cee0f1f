/** A process that runs HAProxy and is killed, and the next one; and where the access log goes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HaproxyDaemon } from '#anyhop/l7/haproxy/haproxy.js';
import { findLeftovers, signalAll } from '#anyhop/l7/haproxy/leftovers.js';
import { haproxySockets } from '#anyhop/l7/render/rendering.js';
import {
  answering,
  config,
  eventually,
  keptLog,
  ownAddress,
  temporaryRun,
  withoutHaproxy,
} from './haproxy-fixture.js';
import { fetchText, Load } from './load.js';

const PROGRAM = fileURLToPath(new URL('./daemon-program.js', import.meta.url));

describe('a process that runs HAProxy', { skip: withoutHaproxy, timeout: 120_000 }, () => {
  let place: ReturnType<typeof temporaryRun>;
  let address: string;
  let child: ChildProcess | undefined;
  let daemon: HaproxyDaemon | undefined;
  let output = '';

  beforeEach(() => {
    place = temporaryRun();
    address = ownAddress();
  });
  afterEach(async () => {
    await daemon?.hardStop();
    daemon = undefined;
    child?.kill('SIGKILL');
    signalAll(leftovers(), 'SIGKILL');
    place.remove();
  });

  function leftovers(): readonly number[] {
    return findLeftovers(haproxySockets(place.run).master).pids;
  }

  /** Starts the process with this config. Resolves when it serves. */
  async function startProcess(text: string): Promise<ChildProcess> {
    const file = join(dirname(place.run), 'config');
    writeFileSync(file, text);
    output = '';
    child = spawn(process.execPath, [PROGRAM, place.run, address, file], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.stdout!.setEncoding('utf8').on('data', (part: string) => (output += part));
    await eventually('serving', () => output.includes('serving\n') || undefined);
    return child;
  }

  it('has the access log on its standard output, and nothing else of HAProxy there', async () => {
    const log = '  log stdout format raw daemon\n  log-format "{\\"status\\":%ST}"';
    await startProcess(answering(address, { rules: log }));
    assert.equal(await fetchText(address), 'ok');
    await eventually('a line', () => output.includes('{"status":200}\n') || undefined);
    assert.equal(output.replace('{"status":200}\n', ''), 'serving\n');
  });

  it('is killed: HAProxy serves on, and the next process takes over without one failed request', async () => {
    const former = await startProcess(answering(address, { answer: 'former' }));
    const [before] = [leftovers()];
    assert.equal(before.length, 2);
    former.kill('SIGKILL');
    await once(former, 'exit');
    assert.equal(await fetchText(address), 'former');
    const load = new Load(address, { keepAlive: 4, fresh: 0 });
    const { log, lines } = keptLog();
    daemon = (await HaproxyDaemon.start({ run: place.run, log }, config(address, { answer: 'next' }))).daemon;
    await eventually(
      'the end of the former',
      () => before.every((pid) => !leftovers().includes(pid)) || undefined,
    );
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.ok(load.requests > 0);
    assert.equal(await fetchText(address), 'next');
    assert.equal(lines.filter(({ event }) => event === 'haproxy_leftover').length, 1);
    // The former one has not taken the master's socket with it.
    assert.ok((await daemon.reload(config(address, { answer: 'last' }))).inForce);
    assert.equal(await fetchText(address), 'last');
    assert.equal(leftovers().length, 2);
  });

  it('leaves HAProxy alone that it cannot replace', async () => {
    const former = await startProcess(answering(address, { answer: 'former' }));
    former.kill('SIGKILL');
    await once(former, 'exit');
    const { log } = keptLog();
    await assert.rejects(
      HaproxyDaemon.start({ run: place.run, log }, config(address, { rules: '  bogus' })),
      {
        code: 'ERR_HAPROXY',
      },
    );
    assert.equal(await fetchText(address), 'former');
  });
});
