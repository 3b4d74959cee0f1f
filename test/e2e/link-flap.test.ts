/** The portable engine over a link that goes down and comes up, under load: libraries that it uses do not survive that by themselves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 120_000;
const EVENT_MS = 10_000;
const FLAPS = 40;

/** What a network manager would do: the kernel drops routes with the link, and IPv6 addresses unless told to keep them. */
const bringUp = ({ router4, router6 }: Lab['client']): string =>
  `ip link set eth0 up; ip route add default via ${router4}; ip route add default via ${router6}`;

async function answered(lab: Lab, firstSourcePort: number): Promise<number> {
  const requests = [VIP4, VIP6].flatMap((vip) => getRequests(vip, 80, { count: 10, firstSourcePort }));
  const answers = await lab.request({ requests, concurrency: 8, timeoutMs: 10_000 });
  return answers.filter(({ error }) => error === null).length;
}

describe('with the portable engine, a link', { skip: missingForLab()?.message ?? false }, () => {
  test('that flaps under load ends nothing: packets flow when it is up again; one that is gone ends the node, which leaves nothing behind', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const lab = await createLab({ forwarders: 1, backends: 2, engine: 'portable' });
    try {
      const forwarder = (await lab.startAll()).forwarders[0]!;
      const node = lab.forwarders[0]!;
      const onNode = (script: string): Promise<string> => lab.exec(node.namespace, ['sh', '-c', script]);
      await onNode('sysctl -qw net.ipv6.conf.eth0.keep_addr_on_down=1');
      assert.equal(await answered(lab, 20_000), 20);

      await onNode('ip link set eth0 down');
      const { why } = await forwarder.waitForEvent('detached', EVENT_MS);
      assert.equal(why, 'the interface eth0 is down');
      await onNode(bringUp(node));
      await forwarder.waitForEvent('attached_again', EVENT_MS);
      assert.equal(await answered(lab, 21_000), 20);

      const flood = await lab.resources.startProcess('ping', lab.client.namespace, [
        'ping',
        '-q',
        '-f',
        VIP4,
      ]);
      for (let i = 0; i < FLAPS; i++) await onNode(`ip link set eth0 down; ${bringUp(node)}`);
      await flood.stop('SIGINT');
      assert.ok(forwarder.running, forwarder.tail());
      assert.equal(await answered(lab, 22_000), 20);

      assert.match(await onNode('nft list tables'), /anyhop_eth0/);
      await onNode('ip link del eth0');
      const { code } = await forwarder.exited;
      assert.equal(code, 1, forwarder.tail());
      assert.match(forwarder.tail(), /the interface eth0 is gone/);
      assert.doesNotMatch(await onNode('nft list tables'), /anyhop/);
    } finally {
      await lab.close();
    }
  });
});
