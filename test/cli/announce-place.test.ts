/** Where `anyhop announce` finds the revision that `anyhop run` on its host keeps. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadAnnounce } from '#anyhop/cli/announce-place.js';
import { keepRevision } from '#anyhop/config/fleet/kept.js';

const folder = mkdtempSync(join(tmpdir(), 'anyhop-announce-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('by --state-dir, then ANYHOP_STATE_DIR, then node.state_dir', async () => {
  const config = join(folder, 'anyhop.yaml');
  const [said, byEnv, inFile] = ['said', 'env', 'file'].map((name) => join(folder, name));
  writeFileSync(
    config,
    `node: {name: edge-1, state_dir: ${inFile}}\nfleet: {name: edge, endpoints: ['http://127.0.0.1:2379'], operator_key: '${'A'.repeat(43)}='}\n`,
  );
  for (const [i, directory] of [said!, byEnv!, inFile!].entries()) {
    const text = `pools: {web: {backends: [{name: web-1, address: 10.1.0.11}]}}
services: [{name: web, vip: 203.0.113.1${i}, protocol: tcp, port: 80, pool: web}]
`;
    await keepRevision(config, { number: i + 1, record: '', text }, directory);
  }
  const vip = (stateDir?: string) =>
    loadAnnounce({ config, ...(stateDir && { stateDir }) }).services[0]!.vip.text;
  assert.equal(vip(), '203.0.113.12');
  process.env['ANYHOP_STATE_DIR'] = byEnv;
  try {
    assert.equal(vip(), '203.0.113.11');
    assert.equal(vip(said), '203.0.113.10');
  } finally {
    delete process.env['ANYHOP_STATE_DIR'];
  }
});
