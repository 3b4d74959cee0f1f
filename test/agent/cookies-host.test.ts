/** What keeps a host from taking SYN cookies, on machines that are made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cookieFindings, lastingObstacle, passingObstacle } from '#anyhop/agent/cookies/host.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { kernelHasFunction } from '#anyhop/ffi/kernel-types.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import { configOf, host } from './cookies-fixture.js';

const lasting = (config = configOf(), o: Parameters<typeof host>[0] = {}) =>
  lastingObstacle(config, host(o))?.why;
const passing = (o: Parameters<typeof host>[0], config = configOf()) => passingObstacle(config, host(o))?.why;

test('a host that has all of it has nothing in the way', () => {
  assert.equal(lasting(), undefined);
  assert.equal(passing({}), undefined);
});

test('a config without cookies, a key, or with VIPs elsewhere is in the way', () => {
  assert.match(lasting(configOf((text) => text.replace(/^defend.*\n/m, '')))!, /no defend\.syn_cookies/);
  assert.match(lasting(configOf((text) => text.replace(/^node.*\n/m, '')))!, /no key/);
  assert.match(lasting(configOf((text) => `${text}  vip_elsewhere: true\n`))!, /vip_elsewhere/);
});

test('a kernel without the function is in the way, and one that does not describe itself', () => {
  assert.match(lasting(configOf(), { hasFunction: () => false })!, /no function bpf_sk_assign_tcp_reqsk/);
  const fail = (): never => {
    throw new AnyhopError('ERR_BPF', 'no BTF');
  };
  assert.match(lasting(configOf(), { hasFunction: fail })!, /cannot be asked: no BTF/);
});

test('functions are looked for in a description of types', () => {
  // An object file in the kernel's place: it has functions of its own.
  assert.equal(kernelHasFunction('anyhop_agent', bpfObjectPath('agent')), true);
  assert.equal(kernelHasFunction('bpf_sk_assign_tcp_reqsk', bpfObjectPath('agent')), false);
  assert.throws(() => kernelHasFunction('anyhop_agent', '/dev/null'), { code: 'ERR_BPF' });
});

test('each setting that is off is in the way, and says how to switch it on', () => {
  for (const name of [
    ...['ipv4.tcp_syncookies', 'ipv4.tcp_timestamps', 'ipv4.tcp_sack', 'ipv4.tcp_window_scaling'],
    'netfilter.nf_conntrack_tcp_loose',
  ]) {
    const files = { [`/proc/sys/net/${name.replace('.', '/')}`]: '0' };
    assert.deepEqual(passingObstacle(configOf(), host({ files })), {
      why: `net.${name} is 0`,
      hint: `sysctl -w net.${name}=1`,
    });
  }
});

test('MPTCP is in the way where it listens for a service of TCP', () => {
  const on = (address: readonly number[], port: number) =>
    passing({ mptcpListeners: () => [{ address: Uint8Array.from(address), port }] });
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
  assert.match(on([203, 0, 113, 10], 80)!, /MPTCP listens for service web,/);
  assert.match(on([0, 0, 0, 0], 80)!, /service web,/);
  assert.match(on([...mapped, 203, 0, 113, 10], 80)!, /service web,/);
  assert.match(on(new Array(16).fill(0), 80)!, /service web, web6,/);
  assert.equal(on([203, 0, 113, 10], 81), undefined);
  assert.equal(on([203, 0, 113, 10], 53), undefined, 'that service is UDP');
  assert.equal(on([192, 0, 2, 1], 80), undefined);
});

test('a packet socket for one IP version is in the way, one for all protocols is not', () => {
  const sockets = (...protocols: string[]) => ({
    '/proc/net/packet': [
      'sk               RefCnt Type Proto  Iface R Rmem   User   Inode',
      ...protocols.map((each) => `00000000d416e697 3      2    ${each}   0     1 0      0      231110`),
    ].join('\n'),
  });
  assert.equal(passing({ files: sockets() }), undefined);
  assert.equal(passing({ files: sockets('0003', '88cc', '0806') }), undefined);
  assert.match(passing({ files: sockets('0003', '0800') })!, /packet socket for IPv4/);
  assert.match(passing({ files: sockets('86dd') })!, /packet socket for IPv6/);
});

test('--check warns of it where the config wants cookies, and of nothing else', () => {
  assert.deepEqual(cookieFindings(configOf(), host()), []);
  const lacking = host({ hasFunction: () => false });
  assert.deepEqual(
    cookieFindings(configOf(), lacking).map(({ level, message }) => [level, message]),
    [
      [
        'warning',
        'this host takes no SYN cookies of the fleet: its kernel has no function bpf_sk_assign_tcp_reqsk',
      ],
    ],
  );
  assert.deepEqual(
    cookieFindings(
      configOf((text) => text.replace(/^defend.*\n/m, '')),
      lacking,
    ),
    [],
  );
});
