/**
 * Second chance over the life of a connection: every packet of it has a key, as after a change that has moved its slot here, and
 * none may be sent on for as long as the backend's kernel knows it. The client is written by hand, segment by segment, so that
 * each state is seen for sure; the backend's end is the kernel's.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keyWord } from '#anyhop/packet/second-chance-key.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Backend, networkSkip } from './backend.js';
import { Client, FAMILIES, FLAGS, MSS, MTU, PORT, SERVER } from './client.js';
import { verdictsOf } from './load.js';

const READY_TIMEOUT_MS = 20_000;

describe('a connection whose slot has moved', { skip: networkSkip() }, () => {
  let backend: Backend;
  let agent: LabProcess;
  let sport = 46_000;
  before(async () => {
    backend = await Backend.make();
    backend.configure((text) => text.replaceAll('port: 80,', `port: 80-${PORT},`));
    const server = await backend.startScript(SERVER);
    await server.waitForLine((line) => line === 'listening', 'listening', READY_TIMEOUT_MS);
    agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
  });
  after(() => backend?.close());

  for (const on of FAMILIES) {
    const client = (): Client => new Client(backend, on, sport++);

    test(`IPv${on.family}: stays here from its first answer on`, async () => {
      const one = client();
      await one.open();
      one.segment(['ack', 'psh'], 'early'); // the last step of the handshake, with data
      await one.answer('echo', ({ data }) => data === 'early');
      const late = client();
      await late.open();
      await late.answer('SYN-ACK again', ({ flags }) => flags === (FLAGS.syn | FLAGS.ack)); // still waiting
      late.segment(['ack']);
      await late.echo('late');
    });

    test(`IPv${on.family}: is kept alive by probes`, async () => {
      const one = client();
      await one.establish();
      await one.probe();
      await one.probe();
      await one.echo('still here');
    });

    test(`IPv${on.family}: may be half closed by the client, in CLOSE-WAIT here`, async () => {
      const one = client();
      await one.establish();
      one.segment(['fin', 'ack']);
      await one.probe();
      await one.probe();
    });

    test(`IPv${on.family}: is closed from here, through FIN-WAIT and TIME-WAIT`, async () => {
      const one = client();
      await one.establish();
      one.segment(['ack', 'psh'], 'end');
      await one.answer('FIN', ({ flags }) => (flags & FLAGS.fin) !== 0);
      one.segment(['ack']); // FIN-WAIT-2 now
      await one.probe();
      one.segment(['fin', 'ack']);
      await one.answer('last ACK', ({ flags }) => flags === FLAGS.ack);
      await one.probe(); // TIME-WAIT answers what comes again
    });

    test(`IPv${on.family}: learns of a smaller path through an ICMP error`, async () => {
      const one = client();
      await one.establish();
      const long = 'x'.repeat(MSS);
      one.segment(['ack', 'psh'], long);
      const answer = await one.answer('whole segment', ({ data }) => data.length === MSS);
      one.tooBig(answer);
      const smaller = await one.answer(
        'smaller segment',
        ({ data, sequence }) => sequence === answer.sequence && data.length < MSS,
      );
      assert.ok(smaller.packet.bytes.length <= MTU, `${smaller.packet.bytes.length} bytes`);
    });

    test(`IPv${on.family}: is sent on, and errors about it, when it is the alternate's`, async () => {
      const stranger = client();
      stranger.segment(['ack'], '', -1);
      const { transport } = await backend.answer('probe for the peer', ({ dst }) => dst === on.peer);
      assert.ok(transport?.kind === 'gre' && transport.key === keyWord(1, on.id, 0));
      stranger.tooBig({ sequence: 1, acknowledgment: 1, flags: 0, data: '', packet: undefined as never });
      await backend.answer('error for the peer', ({ dst }) => dst === on.peer);
    });
  }

  test('has sent on nothing else, and lost nothing', async () => {
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const verdicts = verdictsOf(agent.events);
    assert.deepEqual(
      [verdicts['sent_on'], verdicts['delivered_icmp_error']],
      [2 * FAMILIES.length, FAMILIES.length],
    );
    const lost = Object.entries(verdicts).filter(([name, count]) => name.startsWith('drop_') && count > 0);
    assert.deepEqual(lost, []);
  });
});
