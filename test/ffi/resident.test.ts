/** Memory that is given back after a start: less of it is resident, and the program goes on as before. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';

/** Prints what is resident of files before and after, in KB, and what still works. */
const PROGRAM = `
  import { createHash } from 'node:crypto';
  import { readFileSync } from 'node:fs';
  import { gzipSync, gunzipSync } from 'node:zlib';
  import { releaseMemory } from '#anyhop/ffi/resident.js';

  const resident = () => Number(/^RssFile:\\s*(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const work = async () => {
    const bytes = gunzipSync(gzipSync(Buffer.alloc(100_000, 'x')));
    const later = await new Promise((resolve) => setImmediate(resolve, 'later'));
    return createHash('sha256').update(bytes).digest('hex') + later + new Intl.NumberFormat('de').format(1234.5);
  };
  const [worked, before] = [await work(), resident()];
  for (let i = 0; i < 3; i++) releaseMemory();
  const after = resident();
  console.log(JSON.stringify({ before, after, isSame: worked === await work() }));
`;

it('a program that gave back memory has less than half of its files resident, and does what it did before', () => {
  const argv = ['--input-type=module', '--eval', PROGRAM];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, argv, {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual([status, signal], [0, null], stderr);
  const { before, after, isSame } = JSON.parse(stdout);
  assert.ok(after < before / 2, `${before} KB before, ${after} KB after`);
  assert.ok(isSame, 'the same work has another result');
});
