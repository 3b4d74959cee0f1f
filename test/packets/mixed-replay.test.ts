/** The mixed traffic through the command `anyhop replay`: counts that add up, and a capture that other programs accept. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import { readCapture } from '#anyhop/packet/capture.js';
import { isInstalled } from '../isolation.js';
import { decodeFrame } from './decode.js';
import { MIXED_CONFIG, mixedTraffic, writeMixedCapture } from './mixed.js';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-mixed-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);
const main = fileURLToPath(import.meta.resolve('#anyhop/main.js'));

writeFileSync(at('mixed.yaml'), MIXED_CONFIG);
writeMixedCapture(at('mixed.pcap'));
const traffic = mixedTraffic();

function replay(from: string, to: string): { read: number; sent: number; verdicts: Record<string, number> } {
  const argv = [main, 'replay', '-c', at('mixed.yaml'), at(from), at(to)];
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' }));
}

const expected: Record<string, number> = {};
for (const { verdict } of traffic) expected[verdict] = (expected[verdict] ?? 0) + 1;
const sending = new Set(
  VERDICTS.filter(({ action }) => action === 'forward' || action === 'answer').map(({ name }) => name),
);

test('replay counts every packet under the verdict of its name, and sends what is to be sent', () => {
  const { read, sent, verdicts } = replay('mixed.pcap', 'out.pcap');
  assert.equal(read, traffic.length);
  assert.deepEqual(verdicts, expected);
  assert.equal(sent, traffic.filter(({ verdict }) => sending.has(verdict)).length);
  const frames = Array.from(readCapture(at('out.pcap')), ({ frame }) => decodeFrame(frame));
  assert.equal(frames.length, sent);
});

test('a pcapng file of the same packets gives the same bytes', {
  skip: !isInstalled('editcap') && 'needs editcap',
}, () => {
  execFileSync('editcap', ['-F', 'pcapng', at('mixed.pcap'), at('mixed.pcapng')], { stdio: 'ignore' });
  replay('mixed.pcap', 'from-pcap.pcap');
  replay('mixed.pcapng', 'from-pcapng.pcap');
  assert.deepEqual(frames('from-pcapng.pcap'), frames('from-pcap.pcap'));
});

test('tshark finds nothing malformed and no wrong checksum in what replay sends', {
  skip: !isInstalled('tshark') && 'needs tshark',
}, () => {
  replay('mixed.pcap', 'for-tshark.pcap');
  const tshark = (filter: string): string[] => {
    const checks = ['-o', 'ip.check_checksum:TRUE'];
    const argv = ['-r', at('for-tshark.pcap'), ...checks, '-Y', filter];
    const text = execFileSync('tshark', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.split('\n').filter(Boolean);
  };
  const bad = ['ip', 'icmp', 'icmpv6'].map((layer) => `${layer}.checksum.status == "Bad"`);
  assert.deepEqual(tshark(['_ws.malformed', ...bad].join(' or ')), []);
  assert.equal(tshark('gre').length, traffic.filter(({ verdict }) => verdict.startsWith('forwarded')).length);
});

function frames(name: string): Uint8Array[] {
  return Array.from(readCapture(at(name)), ({ frame }) => Uint8Array.from(frame));
}
