/** What `which` and `replay` say of a node that really runs is what its engine does. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { CaptureWriter, readCapture } from '#anyhop/packet/capture.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { CLIENT4, flows } from '../engine/contract-frames.js';
import { createLink, type NodeLink } from '../engine/link.js';
import { VIP4 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { decapsulate } from '../packets/decode.js';
import { FLAGS, finalCounters, MAIN, sendFlows, startRun, writeFleet } from './run-fixture.js';

describe('of a node that runs and drains a backend', { skip: missingForIsolation('nft', 'ethtool') }, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  test('which and replay speak without being told its socket, and send nobody where the node sends nobody', async () => {
    link = await createLink();
    const { resources, node } = link;
    const file = writeFleet(link);
    const run = await startRun(link, ['-c', file, ...FLAGS]);
    const anyhop = (...args: string[]): string => {
      const [program = '', ...rest] = inNamespace(node, [process.execPath, MAIN, ...args]);
      const { status, stdout, stderr } = spawnSync(program, rest, { encoding: 'utf8' });
      assert.deepEqual([status, stderr], [0, ''], args.join(' '));
      return stdout;
    };
    anyhop('drain', 'web-0', '--socket', join(resources.directory, 'control.sock'));
    const frames = flows(30);
    const [input, output] = ['in.pcap', 'out.pcap'].map((name) => join(resources.directory, name));
    const writer = new CaptureWriter(input);
    for (const frame of frames) writer.write(frame, 0n);
    writer.close();

    const { state, backends } = JSON.parse(anyhop('replay', '-c', file, input, output));
    assert.deepEqual([state.from, state.node], ['node', 'edge-1']);
    const sent = new Set(Array.from(readCapture(output), ({ frame }) => decapsulate(frame).outer.dst));
    assert.deepEqual([...sent], ['10.1.0.12']);
    // The first of the flows.
    const flow = ['--src', `${CLIENT4}:1024`, '--dst', `${VIP4}:80`];
    const answer = JSON.parse(anyhop('which', '-c', file, ...flow, '--json'));
    assert.deepEqual(
      [answer.owner, answer.state.generation],
      ['web-1', state.generation],
      JSON.stringify(answer),
    );

    assert.deepEqual(await sendFlows(link, frames), { gre4: frames.length, gre6: 0 });
    await run.stop('SIGINT');
    const { backends: counted } = finalCounters(run) as unknown as {
      backends: Record<string, { packets: number }>;
    };
    const packets = (all: Record<string, { packets: number }>) =>
      Object.fromEntries(Object.entries(all).map(([name, each]) => [name, each.packets]));
    assert.deepEqual(packets(backends), packets(counted));
  });
});

describe('a node whose config is good and doubtful', { skip: missingForIsolation('nft', 'ethtool') }, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  test('says so in its log with file, line and field, for the addresses that this host has', async () => {
    link = await createLink();
    await link.onNode('ip', 'addr', 'add', '10.1.0.12/32', 'dev', 'lo');
    const file = writeFleet(link);
    const run = await startRun(link, ['-c', file, ...FLAGS.slice(0, -1), '10.0.0.7']);
    const warnings = run.events.filter(({ event }) => event === 'config_warning');
    assert.deepEqual(
      warnings.map(({ file, line, field }) => [file, line, field]),
      [
        ['command line', 0, '--source'],
        [file, 1, 'agent'],
        [file, 1, 'pools.web.backends[1].address'],
      ],
    );
    const [source, agent, backend] = warnings.map(({ msg }) => String(msg));
    assert.match(source, /10\.0\.0\.7 is not an address of this host/);
    assert.match(agent, /^\S+fleet\.yaml:1:\d+: agent: missing, and backends have an agent/);
    assert.match(backend, /10\.1\.0\.12 is an address of this host: a forwarder cannot be its own backend/);
    await run.stop();
  });
});
