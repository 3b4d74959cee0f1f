/** What runs beside nodes and agents in a fleet: proxy hosts are members, and an announcer follows the node of its host. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLabFleet, type LabFleet } from '../../scripts/lab/fleet.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { type Host, VIP4, VIP6 } from '../../scripts/lab/topology.js';

const WAIT_MS = 30_000;

describe('a fleet with a proxy host and an announcer', {
  skip: missingForLab(['etcd', 'etcdctl', 'haproxy', 'setpriv'])?.message ?? false,
  timeout: 240_000,
}, () => {
  let lab: Lab;
  let fleet: LabFleet;
  let proxy: LabProcess;
  let announcer: LabProcess;

  before(async () => {
    lab = await createLab({ forwarders: 1, backends: 1, engine: 'xdp', pool: { settle_time: '1s' } });
    chmodSync(lab.resources.directory, 0o711); // HAProxy's user passes through
    fleet = await createLabFleet(lab);
    const at = (name: string): string => join(dirname(fleet.file), name);
    fleet.change((config) => {
      config.services = [{ name: 'web', vip: VIP4, protocol: 'tcp', port: 8443, pool: 'v4-over-v4' }];
      config.announce = { rise: '300ms', socket: at('announce.sock') };
      config.l7 = {
        run_dir: at('l7'),
        max_connections: 100,
        frontends: { web: { services: ['web'], routes: [{ to: 'app' }] } },
        upstreams: { app: { servers: [{ name: 's1', address: lab.backends[0]!.host4, port: 80 }] } },
      };
    });
    const start = async (what: string, host: Host, args: readonly string[]): Promise<LabProcess> => {
      const argv = [process.execPath, PROGRAM, ...args, '-c', fleet.fileOf(host)];
      const started = await lab.resources.startProcess(`anyhop ${what}`, host.namespace, argv);
      await started.waitForEvent('fleet_waits', WAIT_MS);
      return started;
    };
    await fleet.startForwarder(0, { until: 'fleet_waits' });
    await fleet.startAgent(0, { until: 'fleet_waits' });
    proxy = await start('l7 run', lab.backends[0]!, ['l7', 'run']);
    announcer = await start('announce', lab.forwarders[0]!, ['announce']);
  });
  after(() => lab?.close());

  test('waits for its first revision, and starts by it', async () => {
    assert.match(await fleet.anyhop(['fleet', 'apply', fleet.file]), /revision 1 is in force on 3 members/);
    await proxy.waitForEvent('ready', WAIT_MS);
    assert.equal((await announcer.waitForEvent('following', WAIT_MS))['vips'], 1);
    assert.match(await fleet.anyhop(['fleet', 'status']), /l7\/web-1 +1 .* ready/);
  });

  test('takes what is new everywhere by one command', async () => {
    fleet.change(({ services, l7 }) => {
      services.push({ ...services[0], name: 'web6', vip: VIP6 });
      l7.frontends.web.services.push('web6');
    });
    assert.match(await fleet.anyhop(['fleet', 'apply', fleet.file]), /revision 2 is in force on 3 members/);
    assert.equal((await proxy.waitForEvent('l7_reloaded', WAIT_MS))['applied'], 'by a reload');
    assert.equal((await announcer.waitForEvent('reloaded', WAIT_MS))['vips'], 2);
  });

  test('changes nothing when a proxy host cannot take it, and names that', async () => {
    fleet.change(({ l7 }) => {
      l7.run_dir += '-elsewhere';
    });
    await assert.rejects(fleet.anyhop(['fleet', 'apply', fleet.file]), /l7\/web-1: .*l7\.run_dir/s);
    assert.match(await fleet.anyhop(['fleet', 'status']), /revision 2/);
  });
});
