/** What a client says over HTTP/2 does not become another request, or a second one, on the way to servers of HTTP/1.1. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { withoutProxyHost } from '../run-fixture.js';
import type { Conversation } from './converse.js';
import { ACCEPTED_HTTP2, type HostileHttp2, pseudo, REFUSED_HTTP2 } from './hostile-http2.js';
import { type Http2Outcome, http2Exchange } from './http2.js';
import { type Encounter, Stage } from './stage.js';

type Http2Encounter = Encounter & { readonly conversation: { readonly outcome: Http2Outcome } };

/** The stream after the hostile one; nothing is wrong with it. */
const second = (host: string) => ({ fields: pseudo(host, { ':method': 'GET', ':path': '/second' }) });
const STREAM = { hostile: 1, second: 3 };

describe('a request over HTTP/2', { skip: withoutProxyHost, timeout: 180_000 }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.create();
  });
  after(() => stage?.close());

  const each = async <H extends HostileHttp2>(
    hostile: readonly H[],
    check: (one: H, encounter: Http2Encounter, later: Encounter['understood']) => void,
  ): Promise<void> => {
    for (const one of hostile) {
      const encounters = await stage.meetBy(
        async (host): Promise<Conversation & { outcome: Http2Outcome }> => {
          const socket = await stage.connectTls(host, ['h2']);
          const outcome = await http2Exchange(socket, one.request(host), second(host));
          return { text: '', answers: [], wasClosed: true, outcome };
        },
      );
      for (const encounter of encounters)
        try {
          const isSecond = ({ path }: { path: string }): boolean => path === '/second';
          const understood = encounter.understood.filter((request) => !isSecond(request));
          check(one, { ...encounter, understood }, encounter.understood.filter(isSecond));
          assert.deepEqual(encounter.complaints, []);
        } catch (error) {
          throw new Error(`${one.what}: ${JSON.stringify(encounter, null, 1)}`, { cause: error });
        }
    }
  };

  it('is refused before a server hears of it when it is not valid', async () => {
    await each(REFUSED_HTTP2, (_, { conversation: { outcome }, understood }, later) => {
      const status = outcome.statuses[STREAM.hostile];
      assert.ok(
        status === undefined
          ? Object.hasOwn(outcome.resets, STREAM.hostile) || outcome.goaway !== undefined
          : [400, 405].includes(status),
      );
      assert.deepEqual(understood, []);
      assert.equal(later.length, outcome.statuses[STREAM.second] === 200 ? 1 : 0);
    });
  });

  it('is exactly one request to every server when it is', async () => {
    await each(ACCEPTED_HTTP2, ({ understood: wanted }, { conversation: { outcome }, understood }, later) => {
      assert.deepEqual(outcome, { statuses: { 1: 200, 3: 200 }, resets: {}, goaway: undefined });
      assert.deepEqual(
        understood.map((one) =>
          Object.fromEntries(Object.keys(wanted).map((key) => [key, one[key as 'path']])),
        ),
        [wanted],
      );
      assert.equal(later.length, 1);
    });
  });
});
