/** Who may do what in the store of a fleet: real etcd with TLS and users, which are the common names of certificates, with the rights of docs/fleet.md. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { KeptRevision } from '#anyhop/config/fleet/kept.js';
import type { FleetConfig } from '#anyhop/config/fleet/types.js';
import { Secret } from '#anyhop/config/secret.js';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { run } from '../../scripts/lab/command.js';
import { isInstalled } from '../isolation.js';
import { type Etcd, startEtcd } from './etcd.js';
import { type Logged, TestFleet, until } from './fleet.js';

const TIMEOUT_MS = 180_000;
const NAME = 'edge';
const skip = ['etcd', 'etcdctl', 'openssl'].every(isInstalled) ? false : 'needs etcd, etcdctl and openssl';

describe('access to the store of a fleet', { skip, timeout: TIMEOUT_MS }, () => {
  let etcd: Etcd;
  let authority: Authority;
  let fleet: TestFleet;
  let inForce: KeptRevision | undefined;
  const pem = (name: string): Secret => new Secret(readFileSync(join(etcd.directory, `${name}.pem`)));
  const as = (name: string): Partial<FleetConfig> => ({ authorities: pem('ca'), certificate: pem(name) });
  const root = (...args: string[]): Promise<string> => {
    const file = join(etcd.directory, 'root.pem');
    return run([
      ...[
        'etcdctl',
        '--endpoints',
        etcd.endpoints[0]!,
        '--cacert',
        authority.file,
        '--cert',
        file,
        '--key',
        file,
      ],
      ...args,
    ]);
  };

  before(async () => {
    etcd = await startEtcd({
      tls: async (directory) => {
        authority = await createAuthority(directory);
        const certificate = join(directory, 'server.pem');
        await authority.peerCertificate(certificate, ['127.0.0.1']);
        return { certificate, authority: authority.file };
      },
    });
    for (const name of ['root', 'operator', 'edge-1', 'web-1', 'stranger'])
      await authority.clientCertificate(join(etcd.directory, `${name}.pem`), name);
    await root('user', 'add', 'root', '--no-password');
    await root('user', 'grant-role', 'root', 'root');
    for (const [user, role] of [
      ['edge-1', 'forwarder'],
      ['web-1', 'agent'],
      ['operator', undefined],
    ] as const) {
      await root('role', 'add', user);
      await root(
        'role',
        'grant-permission',
        user,
        role === undefined ? 'readwrite' : 'read',
        '--prefix',
        `/anyhop/${NAME}/`,
      );
      const own = [
        `members/${role}/${user}`,
        `nodes/${role}/${user}`,
        ...(role === 'forwarder' ? [`health/${user}`] : []),
      ];
      if (role !== undefined)
        for (const place of own)
          await root('role', 'grant-permission', user, 'readwrite', `/anyhop/${NAME}/${place}`);
      await root('user', 'add', user, '--no-password');
      await root('user', 'grant-role', user, user);
    }
    await root('user', 'add', 'stranger', '--no-password');
    await root('auth', 'enable');
    fleet = new TestFleet(etcd.endpoints, { name: NAME, authorities: pem('ca') });
  });
  after(async () => {
    await fleet?.close();
    await etcd?.close();
  });

  test('suffices for members and operator with the rights that the page names', async () => {
    const members = [
      fleet.member('forwarder', 'edge-1', { config: as('edge-1') }),
      fleet.member('agent', 'web-1', { config: as('web-1') }),
    ];
    const ready = members.map((member) => member.ready());
    const store = fleet.store([], as('operator'));
    await until('both are listed', async () => (await fleet.view(store)).members.length === 2);
    await fleet.apply('first', { store });
    await Promise.all(ready);
    await fleet.apply('second', { store });
    assert.deepEqual(
      members.map((member) => member.text()),
      ['second', 'second'],
    );
    inForce = members[0]!.member.inForce;
    for (const { logged } of members)
      assert.deepEqual(
        logged.filter(({ event }) => event.startsWith('fleet_store')),
        [],
      );
  });

  test('is no more than that: a host writes nothing but its own entries', async () => {
    const logged: Logged[] = [];
    const store = fleet.store(logged, as('web-1'));
    for (const place of [
      'now/active',
      'now/intent',
      'revisions/0000000009',
      'members/agent/web-2',
      'nodes/forwarder/edge-1',
      'health/edge-1',
      'blobs/x',
    ])
      await assert.rejects(store.write([], [{ place, value: 'x' }]), /refuses this host to write/, place);
    await assert.rejects(
      store.write([], [{ place: 'members/forwarder/edge-1', value: undefined }]),
      /refuses/,
    );
    assert.ok((await store.read('now/')).entries.size > 0);
    assert.deepEqual(
      logged.map(({ event }) => event),
      ['fleet_store_refuses'],
    );
  });

  test('is refused to users without rights, and to another fleet', async () => {
    const elsewhere = fleet.store([], { ...as('web-1'), name: 'other' });
    await assert.rejects(elsewhere.read('now/'), /refuses this host to read/);
    await assert.rejects(fleet.store([], as('stranger')).read('now/'), /refuses this host to read/);
  });

  test('fails with a wrong certificate, which the message names, and the node serves by the revision that it has kept', async () => {
    const directory = etcd.directory;
    const other = await createAuthority(directory, 'other');
    await other.clientCertificate(join(directory, 'forged.pem'), 'edge-2');
    await authority.expiredCertificate(join(directory, 'expired.pem'), 'edge-2');
    const named = etcd.endpoints.map((url) => url.replace('127.0.0.1', 'localhost'));
    const cases: [Partial<FleetConfig>, RegExp][] = [
      [as('expired'), /\(fleet\.certificate: CN=edge-2\), which expired at \d{4}-.*: renew the file/],
      [as('forged'), /signed by CN=anyhop test other: have it signed by an authority that etcd trusts/],
      [{ authorities: pem('ca') }, /refuses hosts without a certificate: name one in fleet\.certificate/],
      [{ ...as('edge-1'), authorities: pem('other') }, /signed by none of fleet\.ca_file: put .* there/],
      [
        { ...as('edge-1'), endpoints: named },
        /for another name \(.*localhost.*\): name the server in fleet\.end/,
      ],
    ];
    const kept = { ...inForce!, text: 'second' };
    for (const [i, [config, why]] of cases.entries()) {
      const node = fleet.member('forwarder', `edge-${i + 2}`, { config, kept });
      await node.ready();
      const { fault } = node.member.status.store;
      assert.match(fault?.why ?? '', why);
      assert.deepEqual([node.text(), node.member.behind], ['second', undefined]);
      const away = node.logged.find(({ event }) => event === 'fleet_store_away');
      assert.match(`${away?.['why']}`, why);
      await fleet.stop(node);
    }
  });
});
