/** Rows in the main table and health checks through the tunnel: when the kernel drops the answers, and that a warning says so just then. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { warnAboutReversePath } from '#anyhop/announce/reverse-path.js';
import { parseConfig } from '#anyhop/config/load.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { missingForIsolation } from '../isolation.js';
import { VIP4, VIP6, withSite } from './print/site.js';

const TUNNEL = 'health: [{kind: tunnel, interval: 1s, timeout: 500ms}]';

function warnings(table: string, read: (path: string) => string, health = TUNNEL, vip = VIP4): string[] {
  const text = `
announce: {table: ${table}}
pools: {web: {${health}, backends: [{name: web-1, address: 10.1.0.11}]}}
services: [{name: web, vip: "${vip}", protocol: tcp, port: 80, pool: web}]
`;
  const config = parseConfig(text, 'anyhop.yaml', {
    role: 'announce',
    env: { ANYHOP_NODE_NAME: 'edge-1' },
  });
  return warnAboutReversePath(config, 'eth0', read).map(
    ({ field, line, message }) => `${line} ${field}: ${message}`,
  );
}

describe('rows of VIPs in the main table', () => {
  const values = (all: number, eth0: number) => (path: string) => String(path.includes('/all/') ? all : eth0);

  test('are warned of with checks through the tunnel, naming the setting that counts', () => {
    const [warning, ...more] = warnings('main', values(1, 2));
    assert.match(
      warning!,
      /^2 announce\.table: found main while net\.ipv4\.conf\.eth0\.rp_filter is 2: .*\(pool web\)/,
    );
    assert.deepEqual(more, []);
    assert.match(warnings('main', values(1, 0))[0]!, /net\.ipv4\.conf\.all\.rp_filter is 1/);
  });

  test('are not warned of where nothing is lost', () => {
    assert.deepEqual(warnings('main', values(0, 0)), []);
    assert.deepEqual(warnings('179', values(2, 2)), []);
    assert.deepEqual(warnings('main', values(2, 2), 'health: [{kind: tcp, port: 80}]'), []);
    assert.deepEqual(warnings('main', values(2, 2), TUNNEL, VIP6), []);
    const missing = (path: string): string => {
      throw new Error(path);
    };
    assert.deepEqual(warnings('main', missing), []);
  });

  test('the kernel drops just what the warning says', { skip: missingForIsolation() }, async () => {
    for (const table of ['main', '179'])
      await withSite(1, table, async ({ forwarders: [forwarder] }) => {
        const { namespace, here4, here6, router4, router6, rows } = forwarder!;
        await run(['ip', '-n', namespace, 'route', 'add', 'default', 'via', router4]);
        await run(['ip', '-n', namespace, '-6', 'route', 'add', 'default', 'via', router6]);
        await rows(['add', VIP4, 100], ['add', VIP6, 100]);
        const isTaken = async (vip: string, here: string): Promise<boolean> => {
          const family = vip === VIP4 ? '-4' : '-6';
          const asked = ['ip', '-n', namespace, family, 'route', 'get', here, 'from', vip, 'iif', 'eth0'];
          return (await run(asked, { mayFail: true })).startsWith('local ');
        };
        for (const value of ['0', '1', '2']) {
          for (const which of ['all', 'eth0'])
            await run(inNamespace(namespace, ['sysctl', '-qw', `net.ipv4.conf.${which}.rp_filter=${value}`]));
          const isWarnedOf = warnings(table, () => value).length > 0;
          assert.equal(await isTaken(VIP4, here4), !isWarnedOf, `table ${table}, rp_filter ${value}`);
          assert.equal(await isTaken(VIP6, here6), true, `table ${table}, IPv6`);
        }
      });
  });
});
