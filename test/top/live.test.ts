/** `anyhop top` in pseudo terminals of several sizes, in front of nodes that answer, fall silent and come back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BackendStatus, NodeStatus } from '#anyhop/api/status.js';
import { fakeNode } from '../api/fake-node.js';
import { anyhop } from '../cli/client.js';
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

/** A node at a path of its own, which can go and come back. */
async function serve(path: string, status: () => NodeStatus): Promise<() => Promise<void>> {
  const server = createServer((_, response) => response.end(JSON.stringify(status())));
  server.listen(path);
  await once(server, 'listening');
  return async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
}

test('of two nodes in 200 columns, one goes and comes back; the screen follows the size of its terminal', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ah-top-'));
  const sockets = ['edge-1', 'edge-2'].map((name) => join(directory, `${name}.sock`));
  const named = (node: string) => () => ({ ...statusWith(), node });
  const first = await serve(sockets[0], named('edge-1'));
  let second = await serve(sockets[1], named('edge-2'));
  const asked = sockets.map((socket) => `--socket ${socket}`).join(' ');
  const terminal = new Terminal(`${process.execPath} ${MAIN} top --by node --every 200ms ${asked}`, 200, 60);
  const { display } = terminal;
  try {
    await terminal.shows(/^2 nodes {2}2 ready/);
    await terminal.shows(/^NODE +STATE .* VERSION/);
    assert.equal(display.text().length, 60);
    await second();
    await terminal.shows(/^edge-2 +SILENT \d+ s/);
    await terminal.shows(/^!! edge-2 has not answered for \d+ s: .*edge-2\.sock: it does not exist/);
    await terminal.shows(/^2 nodes {2}1 ready {2}1 SILENT/);
    assert.equal(display.attributesOf('edge-2 '), '1;31');
    second = await serve(sockets[1], named('edge-2'));
    await terminal.shows(/^edge-2 +ready/);

    terminal.resize(80, 24);
    await terminal.until(
      (lines) => lines.length === 24 && lines.some((line) => line.startsWith('NODE ')),
      'in 24 rows',
    );
    display.widest = 0; // what comes from here on was drawn for this size
    await terminal.until((_, { widest }) => widest > 0, 'drawn again');
    assert.ok(display.widest <= 80, `${display.widest}`);
    assert.ok(!display.text().some((line) => line.includes('VERSION')));
    terminal.resize(200, 60);
    await terminal.shows(/^NODE .* VERSION/);
    assert.equal(display.text().length, 60);

    await first();
    await second();
    await terminal.shows(/^ NO ANSWER for \d+ s: this is the last picture/);
    await terminal.shows(/^edge-1 +SILENT/);
    second = await serve(sockets[1], named('edge-2'));
    await terminal.shows(/^2 nodes {2}1 ready/);
    terminal.type('\x03');
    await terminal.shows('ended 0');
    assert.ok(display.text().includes('restored'));
  } finally {
    await terminal.close();
    await second();
    rmSync(directory, { recursive: true });
  }
});

test('the terminal is given back after signals, a suspension and a crash', async () => {
  const node = await fakeNode({ status: async () => statusWith() });
  const top = `${process.execPath} ${MAIN} top --socket ${node.socket}`;
  const terminals = [
    new Terminal(top, 80, 24),
    new Terminal(top, 80, 24),
    new Terminal(`${process.execPath} build/test/top/crash.js`, 80, 24),
  ];
  const [terminated, interrupted, crashed] = terminals;
  try {
    await Promise.all([terminated.shows('nothing is wrong'), interrupted.shows('nothing is wrong')]);
    // No shell could continue it here, so it goes on at once.
    terminated.type('\x1a');
    terminated.type('4');
    await terminated.shows(/^edge-1 +ready/);
    assert.ok(terminated.display.isAlternate);
    terminated.signal('SIGCONT');
    terminated.signal('SIGTERM');
    interrupted.signal('SIGINT');
    await Promise.all([
      terminated.shows('ended 143'),
      interrupted.shows('ended 130'),
      crashed.shows('ended 1'),
    ]);
    assert.ok(crashed.display.text().some((line) => line.includes('Error: a mistake of the program')));
    for (const { display } of terminals) {
      assert.ok(display.text().includes('restored'), display.text().join('\n'));
      assert.deepEqual([display.isAlternate, display.isCursorShown, display.wraps], [false, true, true]);
    }
  } finally {
    for (const terminal of terminals) await terminal.close();
    await node.close();
  }
});

test('without a terminal, or in front of a dumb one, top prints once; NO_COLOR takes colours away', async () => {
  const hostile = backendStatus('web-2', { ...DOWN, healthReason: '\x1b[2Jgone' });
  const node = await fakeNode({
    status: async () => nodeStatus({ pools: [poolStatus('web', [backendStatus('web-1'), hostile])] }),
  });
  const dumb = new Terminal(`${process.execPath} ${MAIN} top --by backend --socket ${node.socket}`, 80, 24, {
    TERM: 'dumb',
  });
  const plain = new Terminal(`${process.execPath} ${MAIN} top --by backend --socket ${node.socket}`, 80, 24, {
    NO_COLOR: '1',
  });
  try {
    const { code, stdout, stderr } = await anyhop([
      'top',
      '--by',
      'backend',
      '--sort',
      'backend',
      '--socket',
      node.socket,
    ]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(
      stdout,
      /^edge-1 {2}ready .*\npackets\/s .*\nservices .*\n! {2}web: web-2 is down for .*: \\u001b\[2Jgone\n/,
    );
    assert.match(stdout, /\nBACKEND +POOL .*WHY\nweb-1 +web +up .*\nweb-2 +web +DOWN .*\\u001b\[2Jgone\n$/);
    const json = JSON.parse((await anyhop(['top', '--json', '--socket', node.socket])).stdout);
    assert.deepEqual(json.summary.backends, { total: 2, up: 1, draining: 0, down: 1 });
    assert.equal(json.troubles[0].kind, 'backend_down');

    await dumb.shows('ended 0');
    assert.ok(!dumb.display.isAlternate);
    await plain.shows(/^web-2 +web +DOWN/);
    assert.equal(plain.display.attributesOf('web-2 '), '1', 'bold, without a colour');
    assert.equal(plain.display.attributesOf('nothing'), undefined);

    const wrong = await anyhop(['top', '--by', 'node', '--sort', 'slots', '--socket', node.socket]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /the table of nodes has no column slots\n.*It has node, state, pps/);
    const nobody = await anyhop(['top', '--socket', '/nonexistent/x.sock']);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /is the node running/);
    const often = await anyhop(['top', '--every', '1ms', '--socket', node.socket]);
    assert.equal(often.code, 2);
    const other = await fakeNode({ status: async () => ({ node: 'edge-1' }) as NodeStatus });
    const strange = await anyhop(['top', '--socket', other.socket]);
    await other.close();
    assert.equal(strange.code, 1);
    assert.match(strange.stderr, /the answer is no status of a node: version is no text/);
  } finally {
    await dumb.close();
    await plain.close();
    await node.close();
  }
});
