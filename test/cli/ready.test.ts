/** ready: an exit code for what announces the VIPs. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ControlError } from '#anyhop/api/api.js';
import { fakeNode } from '../api/fake-node.js';
import { anyhop } from './client.js';

test('ready ends with 0 when the node is ready, and with 1 and the reasons when it is not', async () => {
  const node = await fakeNode();
  try {
    const ready = await anyhop(['ready', '--socket', node.socket]);
    assert.deepEqual(ready, { code: 0, stdout: 'ready\n', stderr: '' });
    node.instead.ready = () => ({
      ready: false,
      reasons: ['web/web-1 has no result yet', 'it starts'],
      services: [],
    });
    const not = await anyhop(['ready', '--socket', node.socket]);
    const stderr = 'not ready: web/web-1 has no result yet; it starts\n';
    assert.deepEqual(not, { code: 1, stdout: '', stderr });
    const json = await anyhop(['ready', '--socket', node.socket, '--json']);
    assert.equal(json.code, 1);
    assert.deepEqual(JSON.parse(json.stdout), node.instead.ready(undefined));
  } finally {
    await node.close();
  }
});

test('ready takes a node that does not answer, or not with an answer, as one that is not ready', async () => {
  const missing = await anyhop(['ready', '--socket', '/nonexistent/x.sock', '--json']);
  assert.equal(missing.code, 1);
  assert.equal(JSON.parse(missing.stdout).ready, false);
  const directory = mkdtempSync(join(tmpdir(), 'ah-ready-'));
  const path = join(directory, 'x.sock');
  const other = createServer((socket) => socket.end('220 mail.example ESMTP\r\n'));
  await new Promise<void>((resolve) => other.listen(path, resolve));
  const { code, stderr } = await anyhop(['ready', '--socket', path]);
  other.close();
  rmSync(directory, { recursive: true });
  assert.equal(code, 1);
  assert.match(stderr, /^not ready: .*x\.sock/);
});

test('ready --wait waits until the node is ready, and no longer than it was told to', async () => {
  const node = await fakeNode();
  try {
    let asked = 0;
    node.instead.ready = () => ({ ready: ++asked > 3, reasons: ['it starts'], services: [] });
    assert.equal((await anyhop(['ready', '--wait', '20', '--socket', node.socket])).code, 0);
    assert.equal(asked, 4);
    node.instead.ready = () => ({ ready: false, reasons: ['it stops'], services: [] });
    const start = performance.now();
    assert.equal((await anyhop(['ready', '--wait', '0.5', '--socket', node.socket])).code, 1);
    assert.ok(performance.now() - start >= 500);
    for (const wrong of ['-1', 'x', '1e9', '']) {
      assert.equal((await anyhop(['ready', '--socket', node.socket, `--wait=${wrong}`])).code, 2, wrong);
    }
  } finally {
    await node.close();
  }
});

test('ready --service asks for one service, and is wrong usage for one that the node does not have', async () => {
  const node = await fakeNode();
  const asked: unknown[] = [];
  try {
    node.instead.ready = (service) => {
      asked.push(service);
      if (service === 'wbe') {
        throw new ControlError(404, 'ERR_SERVICE', 'there is no service wbe', { hint: 'There are: web.' });
      }
      const fault = service === 'dns' ? { reason: 'no backend of the pool dns can be reached' } : undefined;
      const one = { name: service ?? 'web', ready: fault === undefined, pool: 'web', ...fault };
      return { ready: one.ready, reasons: fault === undefined ? [] : [fault.reason], services: [one] };
    };
    const ask = (service: string) => anyhop(['ready', '--socket', node.socket, '--service', service]);
    assert.deepEqual(await ask('web'), { code: 0, stdout: 'ready\n', stderr: '' });
    const stderr = 'not ready: no backend of the pool dns can be reached\n';
    assert.deepEqual(await ask('dns'), { code: 1, stdout: '', stderr });
    const wrong = await anyhop(['ready', '--socket', node.socket, '--service', 'wbe', '--wait', '60']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /there is no service wbe\n.*There are: web\./);
    assert.deepEqual(asked, ['web', 'dns', 'wbe']);
  } finally {
    await node.close();
  }
});

test('ready names services that are not, also when the node is', async () => {
  const services = ['web', 'dns', 'dns-tls'].map((name) => {
    const isReady = name === 'web';
    return {
      name,
      ready: isReady,
      pool: 'x',
      ...(!isReady && { reason: 'no backend of the pool x can be reached' }),
    };
  });
  const node = await fakeNode({ ready: () => ({ ready: true, reasons: [], services }) });
  try {
    const stderr = 'not ready: services dns, dns-tls: no backend of the pool x can be reached\n';
    const said = await anyhop(['ready', '--socket', node.socket]);
    assert.deepEqual(said, { code: 0, stdout: 'ready\n', stderr });
  } finally {
    await node.close();
  }
});

test('the node that ANYHOP_CONFIG is the file of is asked, and no other in its place', async () => {
  const node = await fakeNode();
  const directory = mkdtempSync(join(tmpdir(), 'ah-ready-'));
  const file = join(directory, 'anyhop.yaml');
  const asked = (...args: string[]) => anyhop(args, '', { ANYHOP_CONFIG: file });
  const writeFor = (socket: string): void =>
    writeFileSync(
      file,
      `node: {name: edge-1, interface: eth0, source: [10.0.0.1], key: ${'a1'.repeat(16)}, socket: ${socket}}\n` +
        'pools: {web: {backends: [{name: web-1, address: 10.0.0.2}]}}\n' +
        'services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]\n',
      { mode: 0o600 },
    );
  try {
    writeFor(node.socket);
    assert.deepEqual(await asked('ready'), { code: 0, stdout: 'ready\n', stderr: '' });
    assert.equal((await asked('drain', 'web-1')).code, 0);
    assert.equal(node.told.length, 1);
    writeFor(join(directory, 'none.sock'));
    const none = await asked('drain', 'web-1');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /none\.sock: .*\n.*is the node running/);
    writeFileSync(file, 'node: [');
    assert.match((await asked('ready')).stderr, /^anyhop: ANYHOP_CONFIG names no config that can be read/);
  } finally {
    rmSync(directory, { recursive: true });
    await node.close();
  }
});
