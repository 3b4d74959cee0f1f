/** `anyhop capture --agent` shows what the agent's program does with packets, also when no agent is left. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { keyWord } from '#anyhop/packet/second-chance-key.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { missingForIsolation } from '../isolation.js';
import { frame, gre, payload, tcp, udp } from '../packets/build.js';
import { Backend, networkSkip } from './backend.js';
import { inner4, outer4, wrapped } from './fixture.js';

const WAIT_MS = 30_000;
/** Of web-2, 10.1.0.12: the low 15 bits. */
const ID = 12;

describe('a capture at an agent', { skip: networkSkip() || missingForIsolation('nft') }, () => {
  let backend: Backend;
  let agent: LabProcess;
  before(async () => {
    backend = await Backend.make();
    agent = await backend.startAgent();
    await agent.waitForEvent('ready', WAIT_MS);
  });
  after(() => backend?.close());

  const start = async (...args: string[]): Promise<LabProcess> => {
    const capturing = await backend.startCapture(...args, '--for', '25s');
    await capturing.waitForLine((line) => line.includes('capturing:'), 'capture', WAIT_MS);
    return capturing;
  };
  const shown = (capturing: LabProcess): string[] =>
    capturing.lines
      .filter((line) => line.includes(' -> '))
      .map((line) => line.replace(/^\S+ /, ''))
      .sort();

  it('shows the packet inside of GRE and what became of it, by the names of the config', async () => {
    const capturing = await start('client 198.51.100.7 and not service games', '--count', '4');
    const key = keyWord(0, ID, 0);
    backend.send(wrapped(inner4(), udp({ sport: 4000, dport: 53 }), payload(10)));
    backend.send(
      frame({}, outer4(), gre({ key, alternates: true }), inner4(), tcp({ sport: 4001, dport: 80 })),
    );
    backend.send(wrapped(inner4(), tcp({ sport: 4002, dport: 81 })));
    backend.send(frame({}, outer4({ src: '192.0.2.9' }), gre(), inner4(), tcp({ sport: 4003, dport: 80 })));
    assert.deepEqual(await capturing.exited, { code: 0, signal: null }, capturing.tail());
    assert.deepEqual(shown(capturing), [
      '198.51.100.7:4000 > 203.0.113.10:53 udp 76 -> delivered',
      '198.51.100.7:4001 > 203.0.113.10:80 tcp . 82 -> sent_on (alternate web-2)',
      '198.51.100.7:4002 > 203.0.113.10:81 tcp . 78 -> drop_no_service',
      '198.51.100.7:4003 > 203.0.113.10:80 tcp . 78 -> drop_stranger',
    ]);
  });

  it('filters by service and verdict, and goes on when the agent is killed', async () => {
    agent.kill();
    await agent.exited;
    const capturing = await start('service dns and verdict delivered', '--count', '2', '--json');
    backend.send(wrapped(inner4(), tcp({ sport: 4002, dport: 81 })));
    for (const sport of [5000, 5001]) backend.send(wrapped(inner4(), udp({ sport, dport: 53 }), payload(10)));
    assert.deepEqual(await capturing.exited, { code: 0, signal: null }, capturing.tail());
    const found = (capturing.events as unknown as Record<string, unknown>[]).map(
      ({ verdict, clientPort, port, inLength, outLength }) => [
        verdict,
        clientPort,
        port,
        inLength,
        outLength,
      ],
    );
    assert.deepEqual(found, [
      ['delivered', 5000, 53, 76, 52],
      ['delivered', 5001, 53, 76, 52],
    ]);
  });

  it('knows no backends, and says so', async () => {
    const refused = await backend.startCapture('backend web-1');
    assert.equal((await refused.exited).code, 2);
    assert.match(refused.tail(), /an agent takes packets for its own host alone/);
  });
});
