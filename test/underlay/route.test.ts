/** Ways to backends: from a kernel's real tables in a namespace, and from answers that a kernel rarely gives. */
import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { AnyhopError } from '#anyhop/core/errors.js';
import { type RunTool, runTool } from '#anyhop/core/tool.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { lookupRoute, lookupRoutes } from '#anyhop/underlay/route.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { isolationObstacle } from '../isolation.js';

const address = (text: string) => parseAddress(text)!;

/** A system in which `ip` says what a test wants. */
function fake(routes: { code?: number; stdout?: string; stderr?: string }, mtu = 1500): RunTool {
  const links = [
    { ifname: 'eth0', ifindex: 2, mtu, flags: ['UP'], link_type: 'ether', address: '02:00:00:00:00:01' },
  ];
  return async (_program, args) =>
    args.includes('link')
      ? { code: 0, stdout: JSON.stringify(links), stderr: '' }
      : { code: 0, stdout: '', stderr: '', ...routes };
}

const refuses = (work: Promise<unknown>, message: RegExp): Promise<void> =>
  assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof AnyhopError, String(error));
    assert.match(error.message, message);
    assert.ok(error.hint);
    return true;
  });

test('many backends without a route are told of in one error, the first five by name', async () => {
  const targets = Array.from({ length: 8 }, (_, i) => ({
    name: `web-${i}`,
    address: address(`10.9.0.${i + 1}`),
  }));
  const stderr = targets
    .map((_, i) => `RTNETLINK answers: Network is unreachable\nCommand failed -:${i + 1}\n`)
    .join('');
  await refuses(
    lookupRoutes(targets, fake({ code: 1, stderr })),
    /^no route to backend web-0 \(10\.9\.0\.1\): no route covers it\n(.*\n){4}and 3 more$/,
  );
});

test('a way too narrow for any service is refused', async () => {
  const stdout = `${JSON.stringify([{ type: 'unicast', dst: '10.9.0.1', dev: 'eth0', metrics: [{ mtu: 576 }] }])}\n`;
  await refuses(
    lookupRoute(address('10.9.0.1'), 'web-1', fake({ stdout })),
    /web-1 \(10\.9\.0\.1\) over eth0 has an MTU of 576/,
  );
});

test('an answer that cannot be read as one answer a question is an error about the tool', async () => {
  await assert.rejects(
    lookupRoute(address('10.9.0.1'), 'web-1', fake({ code: 255, stderr: 'Option "-json" is unknown' })),
    {
      code: 'ERR_TOOL',
    },
  );
});

describe('in a namespace', { skip: isolationObstacle() }, () => {
  const withNamespace = async (work: (inside: RunTool) => Promise<void>): Promise<void> => {
    const resources = new Resources();
    try {
      const namespace = resources.addNamespace('route');
      const ip = (commands: string[]) =>
        run(inNamespace(namespace, ['ip', '-batch', '-']), { input: `${commands.join('\n')}\n` });
      await ip([
        'link set lo up',
        'link add eth0 address 02:00:00:00:00:01 type veth peer name eth1',
        'link set eth0 up',
        'link set eth1 up',
        'addr add 10.0.0.1/24 dev eth0',
        'addr add 2001:db8:1::1/64 dev eth0 nodad',
        'route add 10.1.0.0/16 via 10.0.0.254 mtu 1400',
        'route add 10.2.0.0/16 via inet6 fe80::1 dev eth0',
        'route add 2001:db8:2::/64 via 2001:db8:1::fe',
        'route add unreachable 10.3.0.0/16',
        'route add prohibit 10.4.0.0/16',
        'route add blackhole 10.5.0.0/16',
        'route add unreachable 2001:db8:3::/64',
      ]);
      const [program, ...args] = inNamespace(namespace, []);
      await work((tool, more, input) => runTool(program, [...args, tool, ...more], input));
    } finally {
      await resources.close();
    }
  };

  test('on-link, routed, mixed-family and IPv6 backends get interface, gateway, source and MTU', async () => {
    await withNamespace(async (inside) => {
      const texts = ['10.0.0.9', '10.1.2.3', '10.2.0.1', '2001:db8:1::9', '2001:db8:2::9'];
      const routes = await lookupRoutes(
        texts.map((text) => ({ name: text, address: address(text) })),
        inside,
      );
      assert.deepEqual(
        routes.map((route) => [route.interface, route.gateway?.text, route.preferredSource?.text, route.mtu]),
        [
          ['eth0', undefined, '10.0.0.1', 1500],
          ['eth0', '10.0.0.254', '10.0.0.1', 1400],
          ['eth0', 'fe80::1', '10.0.0.1', 1500],
          ['eth0', undefined, '2001:db8:1::1', 1500],
          ['eth0', '2001:db8:1::fe', '2001:db8:1::1', 1500],
        ],
      );
      assert.deepEqual(routes[0].mac, Uint8Array.of(2, 0, 0, 0, 0, 1));
      assert.ok(routes.every((route) => route.interfaceIndex > 1));
    });
  });

  test('each way in which a kernel refuses is told apart, and names the backend', async () => {
    await withNamespace(async (inside) => {
      const cases: [string, RegExp][] = [
        ['10.3.0.1', /no route to backend web-1 \(10\.3\.0\.1\): an unreachable route refuses it/],
        ['10.4.0.1', /a prohibit route refuses it/],
        ['10.5.0.1', /a blackhole route swallows it/],
        ['192.0.2.1', /no route covers it/],
        ['2001:db8:3::1', /an unreachable route refuses it/],
        ['2001:db8:99::1', /no route covers it/],
        ['10.0.0.1', /backend web-1 \(10\.0\.0\.1\): it is this host itself/],
        ['127.0.0.1', /it is this host itself/],
        ['2001:db8:1::1', /it is this host itself/],
        ['10.0.0.255', /it is a broadcast address/],
      ];
      for (const [text, message] of cases)
        await refuses(lookupRoute(address(text), 'web-1', inside), message);
      // Answers and failures in one run must not be mixed up.
      const some = ['10.0.0.9', '10.3.0.1', '10.1.0.9', '10.5.0.1'].map((text) => ({
        name: text,
        address: address(text),
      }));
      await refuses(
        lookupRoutes(some, inside),
        /^no route to backend 10\.3\.0\.1 [^\n]*\nno route to backend 10\.5\.0\.1 [^\n]*$/,
      );
    });
  });
});
