/** What `which` and `trace` say of a source on a list: what the pipeline makes of it by the lists that they are given. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { listsIn } from '#anyhop/engine/defence.js';
import { PrefixColumns } from '#anyhop/lists/columns.js';
import { compileLists } from '#anyhop/lists/compile.js';
import { fixedPath } from '#anyhop/node/assemble.js';
import { explain } from '#anyhop/node/explain.js';
import { parsePrefix } from '#anyhop/packet/address.js';
import { parseEndpoint } from '#anyhop/packet/compose.js';
import { NODE, parse } from '../config/fixture.js';
import { assembleConfig } from './assembled.js';

const CONFIG = (defend: string): string => `${NODE}pools:
  web: {table_size: 251, backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: six, vip: "2001:db8::10", protocol: tcp, port: 80, pool: web}
defend: {${defend}}
`;
const columns = (...prefixes: string[]) => [PrefixColumns.of(prefixes.map((text) => parsePrefix(text)!))];
const LISTS = listsIn(
  new Uint8Array(
    compileLists({
      block: columns('198.51.100.0/24', '2001:db8:7::/48'),
      allow: columns('198.51.100.7'),
    })!,
  ),
);

/** @param defend of the config */
function verdicts(defend: string, lists = LISTS): (string | undefined)[][] {
  const config = parse(CONFIG(defend), 'run');
  const assembly = assembleConfig(config, config.node, { generation: 1, path: fixedPath(1500) });
  return ['198.51.100.9', '198.51.100.7', '192.0.2.1', '[2001:db8:7::1]', '[2001:db8:8::1]'].map((client) => {
    const source = parseEndpoint(`${client}:40000`)!;
    const destination = parseEndpoint(client.startsWith('[') ? '[2001:db8::10]:80' : '203.0.113.10:80')!;
    const { verdict, service } = explain(assembly, 'tcp', source, destination, lists);
    return [verdict, service];
  });
}

describe('a flow whose source is on a list', () => {
  it('is dropped when it is blocked, and goes on when it is allowed or on no list', () => {
    assert.deepEqual(verdicts('mode: enforce'), [
      ['drop_blocked', undefined],
      ['forwarded', 'web'],
      ['forwarded', 'web'],
      ['drop_blocked', undefined],
      ['forwarded', 'six'],
    ]);
  });

  it('goes on where lists only count, where there are none, and whatever rates would say of more packets', () => {
    for (const defend of ['mode: observe', 'mode: off'])
      assert.ok(verdicts(defend).every(([verdict]) => verdict === 'forwarded'));
    assert.ok(verdicts('mode: enforce', listsIn(undefined)).every(([verdict]) => verdict === 'forwarded'));
    const limited = verdicts('source_rate: {packets: 1}, service_rate: {syn: 1}', listsIn(undefined));
    assert.ok(limited.every(([verdict]) => verdict === 'forwarded'));
  });
});
