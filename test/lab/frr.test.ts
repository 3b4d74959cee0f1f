import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { run } from '../../scripts/lab/command.js';
import { establishedOf, startFrr, withoutFrr } from '../../scripts/lab/ha/frr.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

const TIMEOUT_MS = 60_000;

/** One end of a session between 10.0.0.1 and 10.0.0.2. */
function config(own: number): string {
  const far = 3 - own;
  return `router bgp ${65000 + own}
 bgp router-id 10.0.0.${own}
 no bgp ebgp-requires-policy
 neighbor 10.0.0.${far} remote-as ${65000 + far}
 neighbor 10.0.0.${far} bfd 3 100 100
 neighbor 10.0.0.${far} timers connect 1
 address-family ipv4 unicast
  redistribute kernel
 exit-address-family
`;
}

test('a session counts once, whatever families it has, and only when it is established', () => {
  const peers = { '10.0.0.1': { state: 'Established' }, '10.0.0.2': { state: 'Active' } };
  assert.equal(establishedOf('{}'), 0);
  assert.equal(establishedOf(JSON.stringify({ ipv4Unicast: { peers }, ipv6Unicast: { peers } })), 1);
});

describe('FRR in the lab', { skip: missingForIsolation('vtysh') || withoutFrr }, () => {
  test('two of them take one configuration each, and a route comes through', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const resources = new Resources();
    try {
      const [left, right] = ['left', 'right'].map((name) => ({
        name,
        namespace: resources.addNamespace(name),
      }));
      const ip = (namespace: string, ...lines: string[]): Promise<string> =>
        run(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
      await ip(
        left!.namespace,
        `link add eth0 type veth peer name eth0 netns ${right!.namespace}`,
        'addr add 10.0.0.1/24 dev eth0',
        'link set eth0 up',
        'route add blackhole 203.0.113.10',
      );
      await ip(right!.namespace, 'addr add 10.0.0.2/24 dev eth0', 'link set eth0 up');
      const [, far] = await Promise.all([
        startFrr(resources, left!, config(1)),
        startFrr(resources, right!, config(2)),
      ]);
      await far.untilEstablished(1, TIMEOUT_MS / 2);
      const deadline = Date.now() + TIMEOUT_MS / 3;
      while (!(await ip(right!.namespace, 'route show')).includes('203.0.113.10 '))
        assert.ok(Date.now() < deadline, await far.ask('show bgp summary', 'show ip route'));
    } finally {
      await resources.close();
    }
  });
});
