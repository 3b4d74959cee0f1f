/** Ways to backends: from a kernel's real tables in a namespace, and from answers that a kernel rarely gives. */
import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { type RunTool, runTool } from '#anyhop/core/tool.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { type Link, readLinks } from '#anyhop/underlay/link.js';
import { askKernel, gatewayOf, type IpRoute, refusalOf, routeMtu } from '#anyhop/underlay/route.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

const address = (text: string) => parseAddress(text)!;

test('an answer that cannot be read as one answer a question is an error about the tool', async () => {
  const broken: RunTool = async () => ({ code: 255, stdout: '', stderr: 'Option "-json" is unknown' });
  await assert.rejects(askKernel([address('10.9.0.1')], broken), { code: 'ERR_TOOL', message: /-json/ });
});

test('a path MTU that the kernel learned makes a route no narrower than IPv6 can use, what was configured does', () => {
  const link = { mtu: 1500 } as Link;
  // `ip -json route get` of Linux 6.18 after a router's report, and for a route with an MTU.
  const learned = { type: 'unicast', dev: 'e0', cache: [], expires: 599, metrics: [{ mtu: 552 }] };
  const configured = { type: 'unicast', dev: 'e0', cache: [], metrics: [{ mtu: 1234 }] };
  assert.equal(routeMtu(learned, link), 1328);
  assert.equal(routeMtu({ ...learned, metrics: [{ mtu: 1400 }] }, link), 1400);
  assert.equal(routeMtu(configured, link), 1234);
  assert.equal(routeMtu(learned, { mtu: 1300 } as Link), 1300);
});

describe('in a namespace', { skip: missingForIsolation() }, () => {
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

  test('on-link, routed, mixed-family and IPv6 backends get interface, gateway and MTU', async () => {
    await withNamespace(async (inside) => {
      const texts = ['10.0.0.9', '10.1.2.3', '10.2.0.1', '2001:db8:1::9', '2001:db8:2::9'];
      const answers = await askKernel(texts.map(address), inside);
      const links = await readLinks(inside);
      assert.deepEqual(
        answers.map((answer) => {
          assert.equal(refusalOf(answer), undefined);
          const route = answer as IpRoute;
          return [route.dev, gatewayOf(route)?.text, routeMtu(route, links.get(route.dev))];
        }),
        [
          ['eth0', undefined, 1500],
          ['eth0', '10.0.0.254', 1400],
          ['eth0', 'fe80::1', 1500],
          ['eth0', undefined, 1500],
          ['eth0', '2001:db8:1::fe', 1500],
        ],
      );
      assert.equal(routeMtu(answers[0] as IpRoute, undefined), 0, 'the interface is gone');
    });
  });

  test('each way in which a kernel refuses is told apart, also among others in one question', async () => {
    await withNamespace(async (inside) => {
      const cases: [string, string | undefined][] = [
        ['10.3.0.1', 'an unreachable route refuses it'],
        ['10.4.0.1', 'a prohibit route refuses it'],
        ['10.0.0.9', undefined],
        ['10.5.0.1', 'a blackhole route swallows it'],
        ['192.0.2.1', 'no route covers it'],
        ['2001:db8:3::1', 'an unreachable route refuses it'],
        ['10.1.0.9', undefined],
        ['2001:db8:99::1', 'no route covers it'],
        ['10.0.0.1', 'it is this host itself'],
        ['127.0.0.1', 'it is this host itself'],
        ['2001:db8:1::1', 'it is this host itself'],
        ['10.0.0.255', 'it is a broadcast address'],
      ];
      const answers = await askKernel(
        cases.map(([text]) => address(text)),
        inside,
      );
      assert.deepEqual(
        answers.map((answer, i) => [cases[i][0], refusalOf(answer)]),
        cases,
      );
    });
  });
});
