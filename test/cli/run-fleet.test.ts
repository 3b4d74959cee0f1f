/** What `anyhop run` says before it waits for the first revision of its fleet. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { requireInterface } from '#anyhop/cli/run-fleet.js';

const folder = mkdtempSync(join(tmpdir(), 'anyhop-run-fleet-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('an interface that is not there is refused at once, whoever names it, and a file without one is not', async () => {
  const config = join(folder, 'anyhop.yaml');
  const missing = (name: string) => ({ code: 'ERR_INTERFACE', message: `there is no interface ${name}` });
  writeFileSync(config, 'node: {name: edge-1}\n');
  await requireInterface({ config });
  await assert.rejects(requireInterface({ config, interface: 'nope0' }), missing('nope0'));
  writeFileSync(config, 'node: {name: edge-1, interface: nope1}\n');
  await assert.rejects(requireInterface({ config }), missing('nope1'));
  await requireInterface({ config: join(folder, 'none.yaml') });
});
