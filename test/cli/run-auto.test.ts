/** `engine: auto` on a node with two arms: an engine that works but reaches no backend is no engine for it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { createLink, type NodeLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, refusal, startRun, writeFleet } from './run-fixture.js';

let link: NodeLink | undefined;
afterEach(() => link?.resources.close());

test('auto leaves an engine that cannot send out of the interface to the backends for one that can, and says so', {
  skip: missingForIsolation('nft', 'ethtool'),
}, async () => {
  link = await createLink();
  const { onNode, peer, resources } = link;
  await onNode('ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth1', 'netns', peer);
  await onNode('ip', 'addr', 'add', '10.9.0.1/24', 'dev', 'eth1');
  await onNode('ip', 'link', 'set', 'eth1', 'up');
  await link.onPeer('ip', 'addr', 'add', '10.9.0.2/24', 'dev', 'eth1');
  await link.onPeer('ip', 'link', 'set', 'eth1', 'up');
  await onNode('ip', 'route', 'add', '10.1.0.0/16', 'via', '10.9.0.2');
  // What keeps the engine xdp, which could, from working: no place for its pins.
  writeFileSync(join(resources.directory, 'file'), '');
  const file = writeFleet(link, { node: { engine: 'auto', bpffs: join(resources.directory, 'file') } });
  const run = await startRun(link, ['-c', file, ...FLAGS]);
  const engine = run.events.find(({ event }) => event === 'engine');
  assert.equal(engine?.['engine'], 'portable');
  assert.equal(engine?.['level'], 40, 'a slower engine than there could be is a warning');
  assert.match(
    String(engine?.['reason']),
    /^auto; not xdp: no BPF file system is mounted at .*; not af_xdp: it reaches no backend: its next hop is on eth1/,
  );
  await run.stop();
});

test('a second node on an interface hears once that it is taken, whatever the engines lack besides', {
  skip: missingForIsolation('nft', 'ethtool'),
}, async () => {
  link = await createLink();
  const { resources } = link;
  const run = await startRun(link, ['-c', writeFleet(link), ...FLAGS]);
  const socket = join(resources.directory, 'second.sock');
  const second = writeFleet(link, { node: { engine: 'auto', socket } });
  const { status, stderr } = refusal(link, ['-c', second, ...FLAGS, '--name', 'edge-2']);
  assert.equal(status, 3, stderr);
  const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  assert.equal(said.length, 2, stderr);
  assert.match(said.join('\n'), /^anyhop: another "anyhop run" runs on interface eth0\n {2}\S/);
  await run.stop();
});
