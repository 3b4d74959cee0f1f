/** `anyhop replay` where a slip of the hand could cost a capture. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MIXED_CONFIG, writeMixedCapture } from '../packets/mixed.js';

const main = fileURLToPath(import.meta.resolve('#anyhop/main.js'));
const directory = mkdtempSync(join(tmpdir(), 'anyhop-replay-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('a capture is not overwritten by its own replay, under another name of it either', () => {
  const [config, capture, alias] = ['config.yaml', 'in.pcap', 'alias.pcap'].map((name) =>
    join(directory, name),
  );
  writeFileSync(config!, MIXED_CONFIG);
  writeMixedCapture(capture!);
  linkSync(capture!, alias!);
  const before = readFileSync(capture!);
  for (const output of [capture!, alias!]) {
    const argv = [main, 'replay', '-c', config!, capture!, output];
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /is the capture that is to be read/);
    assert.deepEqual(readFileSync(capture!), before);
  }
});

test('an output is left alone when the input cannot be read', () => {
  const [config, output, junk] = ['config.yaml', 'kept.pcap', 'junk.pcap'].map((name) =>
    join(directory, name),
  );
  writeFileSync(config!, MIXED_CONFIG);
  writeFileSync(output!, 'what was there before');
  writeFileSync(junk!, 'no capture');
  for (const input of [join(directory, 'missing.pcap'), junk!]) {
    const argv = [main, 'replay', '-c', config!, input, output!];
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /no such file|neither a pcap nor a pcapng file/);
    assert.equal(readFileSync(output!, 'utf8'), 'what was there before');
  }
});
