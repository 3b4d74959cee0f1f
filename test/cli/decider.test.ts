/** Whose decisions `which` and `replay` speak of: a node's, where one runs by the file, and the file's otherwise. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ControlError } from '#anyhop/api/api.js';
import { loadConfig } from '#anyhop/config/load.js';
import { type Assembly, fixedPath } from '#anyhop/node/assemble.js';
import { explain } from '#anyhop/node/explain.js';
import { inForceReport } from '#anyhop/node/in-force.js';
import { CaptureWriter, readCapture } from '#anyhop/packet/capture.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';
import { assembleConfig } from '../node/assembled.js';
import { frame, ipv4, payload, tcp } from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';
import { anyhop } from './client.js';

const KEY = '00112233445566778899aabbccddeeff';
const AT = '2024-05-01T12:00:00.000Z';
const PORTS = Array.from({ length: 40 }, (_, i) => 40_000 + i);

let directory: string;
let file: string;
let node: FakeNode;
let inForce: Assembly;

function write(name: string, { key = KEY, socket = node.socket } = {}): string {
  const path = join(directory, name);
  const backends = ['web-1', 'web-2', 'web-3'].map((each, i) => ({ name: each, address: `10.1.0.${i + 1}` }));
  const config = {
    node: { name: 'edge-1', interface: 'eth0', source: '10.0.0.1', key, socket },
    pools: { web: { table_size: 251, backends } },
    services: [{ name: 'web', vip: '203.0.113.10', protocol: 'tcp', port: 80, pool: 'web' }],
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** A node by the file, for which web-1 is down and web-2 drains: all new flows are web-3's. */
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ah-decider-'));
  node = await fakeNode();
  file = write('anyhop.yaml');
  const { pools, ...rest } = loadConfig(file, { role: 'node', env: {} });
  const [web] = pools;
  const backends = web.backends.map((each) =>
    each.name === 'web-2' ? { ...each, state: 'draining' as const } : each,
  );
  const config = { ...rest, pools: [{ ...web, backends }] };
  const health = (_: unknown, { name }: { readonly name: string }) => (name === 'web-1' ? 'down' : 'up');
  inForce = assembleConfig(config, config.node, { generation: 12, path: fixedPath(1400), health });
  const moment = { node: 'edge-1', at: AT, generation: 12, configFile: file };
  node.instead.inForce = async () => inForceReport(inForce, config.node, moment);
  node.instead.which = async ({ protocol, source, destination }) => ({
    ...moment,
    answer: explain(inForce, protocol, source, destination),
  });
});
afterEach(async () => {
  await node.close();
  rmSync(directory, { recursive: true });
});

const FLOW = ['--src', '198.51.100.7:40000', '--dst', '203.0.113.10:80'];
const FROM_NODE = { from: 'node', node: 'edge-1', at: AT, generation: 12 };

async function answer(...args: string[]) {
  const { code, stdout, stderr } = await anyhop(['which', ...FLOW, '--json', ...args]);
  assert.equal(code, 0, stderr);
  return { ...JSON.parse(stdout), stderr };
}

/** The backends that a capture of one packet a flow is sent to, and the counts. */
async function replay(...args: string[]) {
  const [input, output] = ['in.pcap', 'out.pcap'].map((name) => join(directory, name));
  const writer = new CaptureWriter(input);
  for (const sport of PORTS) {
    const flow = { src: '198.51.100.7', dst: '203.0.113.10' };
    writer.write(frame({}, ipv4(flow), tcp({ sport, dport: 80, flags: ['ack'] }), payload(10)), 0n);
  }
  writer.close();
  const { code, stdout, stderr } = await anyhop(['replay', ...args, input, output]);
  const backends = new Set(
    code === 0 ? Array.from(readCapture(output), ({ frame: sent }) => decapsulate(sent).outer.dst) : [],
  );
  return {
    code,
    counts: code === 0 ? JSON.parse(stdout) : undefined,
    stderr,
    backends: [...backends].sort(),
  };
}

describe('which', () => {
  test('is answered by the node that runs by the file: marks and drains count, and it says so', async () => {
    for (const args of [
      ['-c', file],
      ['--socket', node.socket],
    ]) {
      const { owner, state, stack, stderr } = await answer(...args);
      assert.deepEqual([owner, stderr], ['web-3', '']);
      assert.deepEqual(state, { ...FROM_NODE, configFile: file });
      const marks = Object.fromEntries(stack.map((each: { backend: string }) => [each.backend, each]));
      assert.deepEqual([marks['web-1'].health, marks['web-2'].state], ['down', 'draining']);
    }
    const { stdout } = await anyhop(['which', ...FLOW, '-c', file]);
    assert.match(stdout, /^state +node edge-1 at 2024-05-01 12:00:00, generation 12\n/);
    assert.match(stdout, /^stack .*web-1 \(down\)/m);
    assert.match(stdout, /^stack .*web-2 \(draining\)/m);
  });

  test('is of the file when it is asked so, and where no node runs, and says so', async () => {
    const alone = write('alone.yaml', { socket: join(directory, 'nobody.sock') });
    for (const args of [
      ['-c', file, '--no-socket'],
      ['-c', alone],
    ]) {
      const { state, stack, stderr } = await answer(...args);
      assert.deepEqual([state, stderr], [{ from: 'file', file: args[1] }, '']);
      assert.ok(stack.every(({ health }: { health: string }) => health === 'up'));
    }
    const { stdout } = await anyhop(['which', ...FLOW, '-c', alone]);
    assert.match(stdout, /^state +file .*alone\.yaml: every backend counts as up\n/);
  });

  test('is of another file than the node’s when that is named, with a word on the node', async () => {
    const { state, stderr } = await answer('-c', write('new.yaml'));
    assert.equal(state.from, 'file');
    assert.match(
      stderr,
      /^anyhop: node edge-1 runs by .*anyhop\.yaml; this is of .*new\.yaml \(--socket .* asks the node\)\n$/,
    );
  });

  test('is of the file while the node starts, with a word on it; but not when the node was named', async () => {
    node.instead.which = async () => {
      throw new ControlError(503, 'ERR_STARTING', 'the node starts');
    };
    const { state, stderr } = await answer('-c', file);
    assert.equal(state.from, 'file');
    assert.match(stderr, /cannot be asked: the node starts; this is of the file/);
    const named = await anyhop(['which', ...FLOW, '-c', file, '--socket', node.socket]);
    assert.deepEqual([named.code, named.stdout], [1, '']);
  });

  test('needs no file to ask a node, and asks for what the command line says', async () => {
    const gone = join(directory, 'gone.yaml');
    assert.equal((await answer('-c', gone, '--socket', node.socket)).owner, 'web-3');
    delete node.instead.which;
    await answer(
      '-c',
      gone,
      '--socket',
      node.socket,
      '--proto',
      'udp',
      '--src',
      '[2001:db8::7]:9',
      '--dst',
      '[2001:db8::1]:53',
    );
    const [{ what, flow }] = node.told as {
      what: string;
      flow: Record<string, { address: { text: string }; port: number }>;
    }[];
    const text = ({ address, port }: { address: { text: string }; port: number }) =>
      `${address.text} ${port}`;
    assert.deepEqual(
      [what, flow['protocol'], text(flow['source']), text(flow['destination'])],
      ['which', 'udp', '2001:db8::7 9', '2001:db8::1 53'],
    );
  });
});

describe('replay', () => {
  test('sends nothing to a backend that is down or drains for the node that runs by the file', async () => {
    const { counts, backends, stderr } = await replay('-c', file);
    assert.deepEqual(backends, ['10.1.0.3'], stderr);
    assert.deepEqual(counts.state, { ...FROM_NODE, configFile: file });
    assert.equal(counts.backends['web/web-3'].packets, PORTS.length);
  });

  test('goes by the file when it is asked so', async () => {
    const { counts, backends } = await replay('-c', file, '--no-socket');
    assert.deepEqual(backends, ['10.1.0.1', '10.1.0.2', '10.1.0.3']);
    assert.deepEqual(counts.state, { from: 'file', file });
  });

  test('takes the secret from the file alone, and refuses another one than the node’s', async () => {
    const other = write('other.yaml', { key: 'ffeeddccbbaa99887766554433221100' });
    const { code, stderr } = await replay('-c', other, '--socket', node.socket);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /the secret of .*other\.yaml is not the one that node edge-1 forwards by\n {2}.*-c .*anyhop\.yaml/,
    );
  });
});
