/** What a veth does to XDP: `anyhop pass` at its far end, and what an agent says without it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { Backend, networkSkip } from '../agent/backend.js';
import { inner4, KEYS, outer4 } from '../agent/fixture.js';
import { frame, gre, payload, tcp } from '../packets/build.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const TIMEOUT_MS = 30_000;

describe('anyhop pass', { skip: networkSkip() }, () => {
  const resources = new Resources();
  const inside = resources.addNamespace('pass');
  before(async () => {
    await run(['ip', '-n', inside, 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far']);
  });
  after(() => resources.close());

  /** Runs the command in the namespace. */
  async function pass(...args: string[]): Promise<{ code: number | null; text: string }> {
    const argv = [process.execPath, MAIN, 'pass', ...args];
    const started = await resources.startProcess('pass', inside, argv);
    const { code } = await started.exited;
    return { code, text: started.lines.join('\n') };
  }

  const program = async (): Promise<string | undefined> => {
    const [link] = JSON.parse(await run(['ip', '-n', inside, '-j', '-d', 'link', 'show', 'dev', 'far']));
    return link.xdp?.prog?.name;
  };

  test('attaches its program, which stays when the command has ended, and takes it off again', async () => {
    assert.deepEqual(await pass('--interface', 'far'), { code: 0, text: 'far: every packet passes' });
    assert.equal(await program(), 'anyhop_pass');
    const again = await pass('--interface', 'far', '--json');
    assert.deepEqual(JSON.parse(again.text), { interface: 'far', changed: false, attached: true });
    const stopped = await pass('--interface', 'far', '--stop');
    assert.match(stopped.text, /^far: removed the program that passes all packets/);
    assert.equal(await program(), undefined);
    assert.deepEqual(await pass('--interface', 'far', '--stop'), {
      code: 0,
      text: 'far: there was no program that passes all packets',
    });
  });

  test('says which interfaces there are, and leaves programs of others alone', async () => {
    const missing = await pass('--interface', 'eth9');
    assert.equal(missing.code, 3);
    assert.match(missing.text, /there is no interface eth9\n +There are: far, lo, near\./);
    assert.equal((await pass('--interface', 'a/b')).code, 2);
    assert.equal((await pass()).code, 2);
    const theirs = fileURLToPath(new URL('../../native/bench.bpf.o', import.meta.url));
    const set = (...args: string[]): Promise<string> =>
      run(inNamespace(inside, ['ip', 'link', 'set', 'dev', 'far', 'xdpdrv', ...args]));
    await set('object', theirs, 'program', 'bench_pass');
    const refused = await pass('--interface', 'far');
    assert.equal(refused.code, 3);
    assert.match(
      refused.text,
      /far has an XDP program already: bench_pass \(id \d+, native\)\n.*nothing to do/,
    );
    assert.equal((await pass('--interface', 'far', '--stop')).code, 0);
    assert.equal(await program(), 'bench_pass');
    await set('off');
  });
});

describe('an agent on a veth', { skip: networkSkip() }, () => {
  let backend: Backend;
  before(async () => {
    backend = await Backend.make();
  });
  after(() => backend?.close());

  /** A segment of no connection here, which second chance sends on. */
  const stray = (sport: number): void =>
    backend.send(
      frame({}, outer4(), gre({ key: KEYS.peer4 }), inner4(), tcp({ sport, dport: 80 }), payload('x')),
    );

  test('warns at the start, and says how many packets the driver could not send when the far end has no program', async () => {
    const agent = await backend.startAgent();
    await agent.waitForEvent('ready', TIMEOUT_MS);
    const told = agent.events.find(({ event }) => event === 'veth');
    assert.match(String(told?.['msg']), /under\.42 is a veth: frames that XDP sends arrive only while/);
    assert.match(String(told?.['hint']), /anyhop pass --interface FAR_END.*ethtool -K eth0 tx off/);
    stray(50_000);
    await backend.answer('packet for the peer', ({ dst }) => dst === '10.1.0.12');
    await backend.letXdpArrive(false);
    for (let i = 0; i < 32; i++) stray(50_001 + i);
    const lost = await agent.waitForEvent('packets_lost', TIMEOUT_MS);
    assert.equal(lost['sendFailed'], 32);
    assert.match(String(lost['hint']), /GRO there is not enough\. There: anyhop pass --interface FAR_END/);
    const { text } = await backend.agent('--status', '--json');
    const { driver, verdicts } = JSON.parse(text);
    assert.deepEqual([driver.sendFailed, verdicts.sent_on], [32, 33]);
    assert.match(
      (await backend.agent('--status')).text,
      /^not sent by the driver: 32, of what is counted as sent_on/m,
    );
    await backend.letXdpArrive(true);
    assert.equal((await agent.stop('SIGINT')).code, 0);
  });

  test('says so when this host drops what is delivered to it for its checksums', async () => {
    const agent = await backend.startAgent();
    await agent.waitForEvent('ready', TIMEOUT_MS);
    for (let i = 0; i < 20; i++) {
      const segment = tcp({ sport: 51_000 + i, dport: 80, flags: ['syn'], checksum: 0x1234 });
      backend.send(frame({}, outer4(), gre(), inner4(), segment));
    }
    const told = await agent.waitForEvent('bad_checksums', TIMEOUT_MS);
    assert.match(
      String(told['msg']),
      /^this host dropped \d+ TCP segments and 0 UDP datagrams for their checksums while \d+ packets were delivered to it$/,
    );
    assert.match(String(told['hint']), /ethtool -K eth0 tx off/);
    assert.equal((await agent.stop('SIGINT')).code, 0);
  });
});
