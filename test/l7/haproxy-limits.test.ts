/** What `haproxy -c` misses: descriptors, addresses and ports of the host. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hardLimit, readHostFacts, readListeners } from '#anyhop/l7/haproxy/host-facts.js';
import { masterWorker } from '#anyhop/l7/haproxy/launch.js';
import {
  type Bind,
  connectionsFor,
  descriptorsNeeded,
  type HostFacts,
  type Needs,
  problemsOnHost,
} from '#anyhop/l7/haproxy/limits.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { answering, identity, ownAddress, temporaryRun, withoutHaproxy } from './haproxy-fixture.js';

function bind(address: string, port: number): Bind {
  return { address: parseAddress(address)!, port, at: ['l7', address, port] };
}

const needs: Needs = {
  binds: [bind('203.0.113.1', 443), bind('2001:db8::1', 443)],
  connections: { value: 1000, at: ['l7', 'max_connections'] },
  checkedServers: 10,
};
const facts: HostFacts = {
  descriptorsMax: 4096,
  cpus: 2,
  bindable: new Set(['203.0.113.1', '2001:db8::1']),
  listeners: [],
};

describe('what a config needs of its host', () => {
  it('is fine when it is there', () => {
    assert.deepEqual(problemsOnHost(needs, facts), []);
  });

  it('is an address that the host has: the error says how to add it', () => {
    assert.deepEqual(problemsOnHost(needs, { ...facts, bindable: new Set(['2001:db8::1']) }), [
      {
        level: 'error',
        at: ['l7', '203.0.113.1', 443],
        message: '203.0.113.1 is no address of this host: ip address add 203.0.113.1/32 dev lo',
      },
    ]);
    const any = { ...needs, binds: [bind('0.0.0.0', 80), bind('::', 80)] };
    assert.deepEqual(problemsOnHost(any, { ...facts, bindable: new Set() }), []);
  });

  it('is a port that nobody else has, on this address or on all of them', () => {
    const taken = (address: string, port: number, takesIpv4 = false): string[] =>
      problemsOnHost(needs, {
        ...facts,
        listeners: [{ address, port, owner: 'nginx (process 812)', takesIpv4 }],
      }).map(({ message }) => message);
    assert.deepEqual(taken('203.0.113.1', 443), ['port 443 of 203.0.113.1 is taken by nginx (process 812)']);
    assert.deepEqual(taken('0.0.0.0', 443), ['port 443 of 203.0.113.1 is taken by nginx (process 812)']);
    assert.deepEqual(taken('::', 443), ['port 443 of 2001:db8::1 is taken by nginx (process 812)']);
    assert.equal(taken('::', 443, true).length, 2);
    assert.deepEqual(taken('203.0.113.2', 443), []);
    assert.deepEqual(taken('203.0.113.1', 80), []);
  });

  it('is not looked for on the ports that HAProxy has already', () => {
    const listeners = [{ address: '203.0.113.1', port: 443, owner: undefined, takesIpv4: false }];
    assert.deepEqual(problemsOnHost(needs, { ...facts, listeners }, [bind('203.0.113.1', 443)]), []);
    assert.equal(problemsOnHost(needs, { ...facts, listeners }, [bind('203.0.113.1', 80)]).length, 1);
  });

  it('is enough descriptors: the error names both numbers and the largest that fits', () => {
    const [problem, ...others] = problemsOnHost(needs, { ...facts, descriptorsMax: 1024 });
    assert.deepEqual([others, problem!.at], [[], ['l7', 'max_connections']]);
    assert.match(
      problem!.message,
      /^1000 connections take 2082 open files, and this process may have 1024: at most 471 /,
    );
  });

  it('fits when the number of connections is the largest that does, and no more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 2_000_000 }),
        fc.nat({ max: 64 }),
        fc.nat({ max: 20 }),
        (limit, cpus, servers) => {
          const each = { ...needs, checkedServers: servers };
          const value = connectionsFor(limit, each, cpus);
          const needed = (connections: number): number =>
            descriptorsNeeded({ ...each, connections: { value: connections, at: [] } }, cpus);
          assert.ok(value === 0 || needed(value) <= limit);
          assert.ok(needed(value + 1) > limit);
        },
      ),
    );
  });

  it('counts at least what HAProxy itself asks for', { skip: withoutHaproxy }, async () => {
    const sections = `backend u_a\n${Array.from({ length: 50 }, (_, i) => `  server s${i} 127.0.0.1:1 check`).join('\n')}`;
    const rules = Array.from({ length: 10 }, (_, i) => `  bind 127.1.1.1:${9000 + i}`).join('\n');
    const text = answering(ownAddress(), { global: '  maxconn 5000', rules, sections });
    // It says how many it wants when it cannot have them.
    const { stderr } = await haproxyOn(text);
    const wanted = Number(/Cannot raise FD limit to (\d+)/.exec(stderr)?.[1]);
    const asked = descriptorsNeeded(
      {
        binds: Array.from({ length: 11 }, () => bind('127.1.1.1', 1)),
        connections: { value: 5_000, at: [] },
        checkedServers: 50,
      },
      (await readHostFacts({ binds: [] }, [])).cpus,
    );
    assert.ok(wanted <= asked && asked - wanted < 100, `${stderr}\ncounted ${asked}`);
  });
});

/** Starts HAProxy where it may have too few descriptors. */
async function haproxyOn(text: string): Promise<{ stderr: string }> {
  const { run, remove } = temporaryRun();
  try {
    writeFileSync(run, `${text.trim()}\n`, { mode: 0o644 });
    const { program, args } = masterWorker(await identity(), 'haproxy', run, `${run}.sock`);
    const limited = ['--nofile=2000:2000', program, ...args];
    return spawnSync('prlimit', limited, { encoding: 'utf8', timeout: 30_000 });
  } finally {
    remove();
  }
}

describe('what the host has', () => {
  it('is read from the machine: its own addresses, its limit, and who listens', async () => {
    const address = ownAddress();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    try {
      const { port } = server.address() as { port: number };
      const binds = [bind(address, port), bind('192.0.2.77', port)];
      const found = await readHostFacts({ binds }, []);
      assert.deepEqual([...found.bindable], [address]);
      assert.equal(found.descriptorsMax, hardLimit(readFileSync('/proc/self/limits', 'utf8')));
      const listener = found.listeners.find((each) => each.address === address);
      assert.match(listener?.owner ?? '', new RegExp(` \\(process ${process.pid}\\)$`));
      assert.deepEqual((await readHostFacts({ binds }, [process.pid])).listeners, []);
    } finally {
      server.close();
    }
  });

  it('is a listener for IPv4 too on all IPv6 addresses, unless that was switched off', async () => {
    for (const ipv6Only of [false, true]) {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen({ port: 0, host: '::', ipv6Only }, resolve));
      const { port } = server.address() as { port: number };
      const { listeners } = await readHostFacts({ binds: [bind(ownAddress(), port)] }, []);
      server.close();
      assert.deepEqual(
        listeners.map(({ address, takesIpv4 }) => [address, takesIpv4]),
        [['::', !ipv6Only]],
      );
    }
  });

  it('is no limit where the kernel has none', () => {
    assert.equal(
      hardLimit('Max open files            1024                 unlimited            files\n'),
      Number.POSITIVE_INFINITY,
    );
    assert.equal(
      hardLimit('Max open files            1024                 524288               files\n'),
      524_288,
    );
  });

  it('is read from the kernel’s table without failing at any text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom(' ', ':', '0A', '0100007F', '\n')), { maxLength: 30 }),
        (parts) => {
          assert.ok(Array.isArray(readListeners(parts.join(''))));
        },
      ),
    );
  });
});
