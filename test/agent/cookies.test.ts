/** SYN cookies of the fleet at a backend: the handshake's end comes out of nowhere, and the kernel makes a connection of it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Backend, networkSkip } from './backend.js';
import { FAMILIES } from './client.js';
import { CookieClient } from './cookie-client.js';

const READY_TIMEOUT_MS = 20_000;

describe('an agent with the key of SYN cookies', { skip: networkSkip() }, () => {
  let backend: Backend;
  let agent: LabProcess;
  let sport = 41_000;
  before(async () => {
    backend = await Backend.make();
    backend.configureCookies();
    agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    await agent.waitForEvent('cookies_taken', READY_TIMEOUT_MS);
  });
  after(() => backend?.close());

  for (const on of FAMILIES) {
    test(`IPv${on.family}: makes a connection of the end of a handshake`, async () => {
      const client = new CookieClient(backend, on, sport++);
      client.ack();
      client.request();
      await client.echo();
      client.request('again');
      await client.echo('again');
      client.reset();
    });
  }
  test('has taken each handshake once, and leaves nothing behind', async () => {
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const counted = agent.events.findLast(({ event }) => event === 'counters')!['cookies'];
    assert.deepEqual(taken(counted), { accepted: 2 });
    assert.deepEqual(backend.pins(), []);
  });
});

/** Those that are not zero, less what depends on when a burst was taken apart. */
function taken(counts: unknown): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counts as Record<string, number>).filter(
      ([name, count]) => count > 0 && name !== 'followed',
    ),
  );
}
