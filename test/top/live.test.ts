/** `anyhop top` in pseudo terminals of several sizes, in front of nodes that answer, fall silent and come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BackendStatus, NodeStatus } from '#anyhop/api/status.js';
import { fakeNode } from '../api/fake-node.js';
import { MAIN } from '../cli/run-fixture.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { Terminal } from './terminal.js';

const DOWN: Partial<BackendStatus> = { health: 'down', healthReason: 'connection refused' };

function statusWith(change: (i: number) => Partial<BackendStatus> = () => ({}), count = 40): NodeStatus {
  const members = Array.from({ length: count }, (_, i) =>
    backendStatus(`web-${i + 1}`, { packetsPerSecond: i * 10, ...change(i + 1) }),
  );
  return nodeStatus({ pools: [poolStatus('web', members)] });
}

test('a backend that goes down turns red; keys choose, sort, filter, scroll, pause and quit; the terminal is as before', async () => {
  let status = statusWith();
  const node = await fakeNode({ status: async () => status });
  const terminal = new Terminal(
    `${process.execPath} ${MAIN} top --every 200ms --socket ${node.socket}`,
    80,
    24,
  );
  const { display } = terminal;
  try {
    await terminal.shows(/^edge-1 {2}ready {2}xdp \(driver\) on eth0/);
    assert.deepEqual([display.isAlternate, display.isCursorShown, display.wraps], [true, false, false]);
    await terminal.shows('nothing is wrong');
    await terminal.shows(/^http +ready/);
    terminal.type('2');
    await terminal.shows(/^web-1 +web +up/);
    assert.equal(display.attributesOf('web-7 '), '');
    await terminal.shows('of 40');
    assert.equal(display.text().length, 24);
    assert.ok(display.widest <= 80);

    status = statusWith((i) => (i === 7 ? DOWN : {}));
    await terminal.shows(/^web-7 +web +DOWN/);
    assert.equal(display.attributesOf('web-7 '), '1;31');
    await terminal.shows(/^! {2}web: web-7 is down for .*: connection refused/);
    await terminal.shows(/39\/40 up {2}1 DOWN/);
    status = statusWith();
    await terminal.until((_, { attributesOf }) => attributesOf.call(display, 'web-7 ') === '', 'up again');

    terminal.type('>>'); // from the state over its age to packets
    await terminal.until((lines) => lines.some((line) => /^web-40 /.test(line)), 'sorted by packets');
    terminal.type('r');
    await terminal.shows(/^web-1 /);
    terminal.type('G');
    await terminal.shows(/-40 of 40$/);
    terminal.type('/web-3\r');
    await terminal.shows(/^web-39 /);
    await terminal.shows(/ 11 {2}\/web-3$/);
    terminal.type('\x1b');
    await terminal.shows(/1-\d+ of 40$/);

    terminal.type('p');
    await terminal.shows('PAUSED');
    status = statusWith((i) => (i === 1 ? DOWN : {}));
    terminal.type('?');
    await terminal.shows(/^ {2}Ctrl-L, Ctrl-Z +draw again, suspend/);
    terminal.type('x');
    await terminal.until((lines) => !lines.some((line) => line.includes('Ctrl-L')), 'without help');
    assert.ok(!display.text().some((line) => line.includes('DOWN')), 'a pause shows nothing new');
    terminal.type('p');
    await terminal.shows(/^web-1 +web +DOWN/);

    terminal.type('q');
    await terminal.shows('ended 0');
    assert.ok(display.text().includes('restored'), display.text().join('\n'));
    assert.deepEqual([display.isAlternate, display.isCursorShown, display.wraps], [false, true, true]);
  } finally {
    await terminal.close();
    await node.close();
  }
});
