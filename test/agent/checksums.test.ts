/** When the host's counters of wrong checksums are worth a word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksumComplaint, readChecksumErrors } from '#anyhop/agent/checksums.js';

const SNMP = `Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm ActiveOpens InErrs OutRsts InCsumErrors
Tcp: 1 5 9 3 7
Udp: InDatagrams InErrors InCsumErrors IgnoredMulti
Udp: 100 4 3 0
UdpLite: InDatagrams InCsumErrors
UdpLite: 0 99
`;
const files =
  (all: Readonly<Record<string, string>>) =>
  (path: string): string => {
    if (all[path] === undefined) throw new Error(`no such file: ${path}`);
    return all[path];
  };

test('errors of TCP and UDP are read for both IP versions, and without IPv6', () => {
  const snmp6 = 'Udp6InErrors                    \t2\nUdp6InCsumErrors                \t11\n';
  const both = files({ '/proc/net/snmp': SNMP, '/proc/net/snmp6': snmp6 });
  assert.deepEqual(readChecksumErrors(both), { tcp: 7, udp: 3 + 11 });
  assert.deepEqual(readChecksumErrors(files({ '/proc/net/snmp': SNMP })), { tcp: 7, udp: 3 });
  assert.deepEqual(readChecksumErrors(files({ '/proc/net/snmp': 'Tcp: A\nTcp: 1\n' })), { tcp: 0, udp: 0 });
});

test('this kernel has the fields', () => {
  const { tcp, udp } = readChecksumErrors();
  assert.ok(tcp >= 0 && udp >= 0);
});

test('they are told of from one in a hundred delivered packets on', () => {
  const none = { tcp: 0, udp: 0 };
  assert.equal(checksumComplaint(none, { tcp: 4, udp: 5 }, 1000), undefined);
  assert.match(
    checksumComplaint(none, { tcp: 4, udp: 6 }, 1000) ?? '',
    /4 TCP segments and 6 UDP .* 1000 packets/,
  );
  assert.equal(
    checksumComplaint({ tcp: 50, udp: 0 }, { tcp: 50, udp: 0 }, 1000),
    undefined,
    'only what is new',
  );
  assert.equal(checksumComplaint(none, { tcp: 9, udp: 9 }, 0), undefined, 'errors of other traffic');
});
