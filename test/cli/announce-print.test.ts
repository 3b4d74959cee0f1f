/** `anyhop announce --print` and `--feed`: what the command line makes of their options. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { configText } from '../announce/print/site.js';
import { anyhop } from './client.js';

describe('printing configs of routing daemons', () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'anyhop-print-'));
    file = join(folder, 'anyhop.yaml');
    writeFileSync(file, configText('{}'), { mode: 0o600 });
  });
  after(() => rmSync(folder, { recursive: true }));

  const session = ['--neighbor', '10.9.1.1=65000', '--neighbor', 'fd09:1::1=65000'];
  const print = (format: string, ...more: string[]) =>
    anyhop(['announce', '-c', file, '--print', format, ...more]);

  test('every option reaches the config', async () => {
    const options =
      '--asn 65001 --router-id 192.0.2.7 --bfd 4x50ms --prefix 203.0.113.0/24 --prefix 2001:db8::/32';
    const { code, stdout, stderr } = await print('frr-router', ...session, ...options.split(' '));
    assert.deepEqual([code, stderr], [0, '']);
    for (const line of [
      'router bgp 65001',
      ' bgp router-id 192.0.2.7',
      '  detect-multiplier 4',
      '  transmit-interval 50',
      'ip prefix-list ANYHOP-VIPS seq 5 permit 203.0.113.0/24 ge 32',
      ' neighbor fd09:1::1 remote-as 65000',
    ])
      assert.ok(stdout.split('\n').includes(line), line);
  });

  test('the config of ExaBGP starts this program', async () => {
    const { stdout } = await print('exabgp', ...session, '--local-address', '10.9.1.7');
    assert.match(
      stdout,
      /^ {2}run \/\S+ announce --feed exabgp --table 179 --drain-metric 200 --neighbor 10\.9\.1\.1 --neighbor fd09:1::1;$/m,
    );
    assert.match(stdout, /^ {2}local-address 10\.9\.1\.7;$/m);
    assert.match(stdout, /^ {2}local-address fd09:1::2;$/m);
  });

  test('needs no certificate, nor does asking, which may be another user: only the process that shows it does', async () => {
    const tls = `listen: 10.9.1.2, certificate: missing.pem, ca_file: missing.pem, socket: ${folder}/none.sock`;
    const region = '{nodes: [{name: edge-1, address: 10.9.1.2}], vips: [{host: www, vip: 203.0.113.10}]}';
    const secured = join(folder, 'secured.yaml');
    writeFileSync(secured, configText(`{${tls}, regions: {eu: ${region}}}`), { mode: 0o600 });
    const announce = (...more: string[]) => anyhop(['announce', '-c', secured, '--name', 'edge-1', ...more]);
    const printed = await announce('--print', 'bird', ...session);
    assert.deepEqual([printed.code, printed.stderr], [0, '']);
    for (const option of ['--status', '--resume']) {
      const { code, stderr } = await announce(option);
      assert.doesNotMatch(stderr, /missing\.pem/, option);
      assert.equal(code, option === '--status' ? 1 : 0, stderr);
    }
    const { code, stderr } = await announce();
    assert.equal(code, 2);
    assert.match(stderr, /announce\.certificate: .*missing\.pem.*: no such file/);
  });

  for (const [what, args, message] of [
    ['no neighbour', ['--print', 'bird'], /--neighbor is missing/],
    [
      'an option of another format',
      ['--print', 'exabgp', ...session, '--bfd', '3x300ms'],
      /--bfd means nothing with --print exabgp/,
    ],
    ['an option without its mode', ['--asn', '65001'], /--asn means nothing here/],
    ['two modes', ['--print', 'bird', '--status'], /are two things to do/],
    ['an unknown format', ['--print', 'quagga'], /Allowed choices are bird, bird-router/],
    ['a malformed neighbour', ['--print', 'bird', '--neighbor', 'fe80::1'], /no link-local address/],
    ['a malformed AS', ['--print', 'bird', '--asn', '0'], /Expected the number of an autonomous system/],
    ['a malformed router ID', ['--print', 'bird', '--router-id', '0.0.0.0'], /Expected an IPv4 address/],
    ['a malformed timing', ['--print', 'bird', '--bfd', '1x1ms'], /Expected NxTms/],
    ['a feed without neighbours', ['--feed', 'exabgp'], /--neighbor is missing/],
    [
      'a feed with an option of the other',
      ['--feed', 'exabgp', ...session, '--gobgp-socket', '/x'],
      /--gobgp-socket means nothing with --feed exabgp/,
    ],
    ['neighbours of gobgpd', ['--feed', 'gobgp', ...session], /--neighbor means nothing with --feed gobgp/],
  ] as const)
    test(`${what}: exit code 2, and what to give`, async () => {
      const { code, stdout, stderr } = await anyhop(['announce', '-c', file, ...args]);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, message);
    });
});
