/**
 * Second chance under SYN cookies, where a handshake leaves nothing in the kernel until its last segment has gone through the
 * stack, and XDP judges a whole burst of packets before that. Here nothing gets as far as the stack, so a burst never ends.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LabProcess } from '../../scripts/lab/process.js';
import { missingForIsolation } from '../isolation.js';
import { Backend, networkSkip } from './backend.js';
import { Client, FAMILIES, MSS, PORT, SERVER } from './client.js';
import { verdictsOf } from './load.js';

const READY_TIMEOUT_MS = 20_000;
/** Longer than a handshake is remembered: ANYHOP_AGENT_HANDSHAKE_NS. */
const FORGOTTEN_MS = 1_200;

describe('a handshake under a SYN cookie', { skip: networkSkip() || missingForIsolation('nft') }, () => {
  let backend: Backend;
  let agent: LabProcess;
  let sport = 47_000;
  before(async () => {
    backend = await Backend.make();
    backend.configure((text) => text.replaceAll('port: 80,', `port: 80-${PORT},`));
    await backend.sysctl('net.ipv4.tcp_syncookies=2'); // without exception
    const server = await backend.startScript(SERVER);
    await server.waitForLine((line) => line === 'listening', 'listening', READY_TIMEOUT_MS);
    await backend.exec(
      'nft',
      `add table inet burst
       add chain inet burst in { type filter hook prerouting priority raw; }
       add rule inet burst in tcp dport ${PORT} tcp flags & (syn | ack) == ack drop`,
    );
    agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
  });
  after(() => backend?.close());

  for (const on of FAMILIES) {
    test(`IPv${on.family}: keeps all of its flow here, and of no other one, for as long as a burst may last`, async () => {
      const one = new Client(backend, on, sport++);
      await one.open();
      one.segment(['ack', 'psh'], 'x'.repeat(MSS));
      one.segment(['ack', 'psh'], 'x'.repeat(MSS)); // its acknowledgment is the cookie's, its sequence number is not
      one.segment(['fin', 'ack'], 'end');
      one.tooBig({ sequence: 1, acknowledgment: 1, flags: 0, data: '', packet: undefined as never });

      // Its neighbour, which has made all of it up.
      const other = new Client(backend, on, sport++);
      other.segment(['ack', 'psh'], 'hello');
      await backend.answer('segment for the peer', ({ dst }) => dst === on.peer);

      await delay(FORGOTTEN_MS);
      one.segment(['ack'], '', -1);
      await backend.answer('forgotten segment for the peer', ({ dst }) => dst === on.peer);
    });
  }

  test('has sent on nothing else, and lost nothing', async () => {
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const counted = Object.entries(verdictsOf(agent.events)).filter(
      ([name, count]) => count > 0 && !name.startsWith('pass_'),
    );
    const each = FAMILIES.length;
    // The SYN and three segments; the error about them; the stranger's and the late one.
    assert.deepEqual(Object.fromEntries(counted), {
      delivered: 4 * each,
      delivered_icmp_error: each,
      sent_on: 2 * each,
    });
  });
});
