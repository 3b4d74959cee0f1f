/**
 * No request means one thing to the proxy and another to a server: it is refused, or every server sees exactly one and the same. Nor does
 * a server ever see a request that no client sent as such.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { seedOfRun } from '../../differential/random.js';
import { eventually, withoutProxyHost } from '../run-fixture.js';
import { logEntries } from './access-log.js';
import { converse } from './converse.js';
import { ACCEPTED, type Accepted, type Hostile, LEFT_TO_SERVERS, REFUSED } from './hostile.js';
import { type Template, tampered } from './mutations.js';
import { readAsRfc } from './reading.js';
import { type Encounter, Stage } from './stage.js';

const RUNS = 300;
/** A body that never ends is waited for no longer. */
const TAMPERED_SILENCE_MS = 150;
const seed = seedOfRun();

/** Others come from bytes that are left over, and servers need not know them. */
const METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE']);

/** Sent after each hostile request over its connection. */
const second = (host: string): string => `GET /second HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

describe('a request that two servers could read differently', {
  skip: withoutProxyHost,
  timeout: 300_000,
}, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.create();
  });
  after(() => stage?.close());

  const meet = (text: Template, silenceMs?: number): Promise<Encounter[]> =>
    stage.meetBy(async (host) => converse(await stage.connect(), `${text(host)}${second(host)}`, silenceMs));
  /** Calls `check` for each server, and says where it failed. */
  const each = async <H extends Hostile>(
    hostile: readonly H[],
    check: (one: H, encounter: Encounter) => void,
  ): Promise<void> => {
    for (const one of hostile)
      for (const encounter of await meet((host) => one.text(host)))
        try {
          check(one, encounter);
        } catch (error) {
          throw new Error(`${one.what}: ${JSON.stringify(encounter, null, 1)}`, { cause: error });
        }
  };
  const seen = ({ understood }: Encounter, wanted: Accepted['request']) =>
    understood.map((one) => Object.fromEntries(Object.keys(wanted).map((key) => [key, one[key as 'path']])));
  const statuses = ({ conversation }: Encounter) => conversation.answers.map(({ status }) => status);
  const afterwards = (wanted: Accepted['request'], closes = false) =>
    closes
      ? [wanted]
      : [wanted, Object.fromEntries(Object.keys(wanted).map((key) => [key, SECOND[key as 'path']]))];
  const SECOND = { method: 'GET', path: '/second', body: '', probe: '', id: '' };

  it('is refused, with nothing that follows on its connection, and no server hears of it', async () => {
    await each(REFUSED, (_, encounter) => {
      assert.deepEqual(encounter.understood, []);
      assert.deepEqual(encounter.complaints, []);
      assert.ok(encounter.conversation.wasClosed);
      assert.ok(
        ['', '400', '422'].includes(statuses(encounter).join()),
        'refused by the proxy, once, or closed without an answer',
      );
    });
  });

  it('is one and the same to all, and so is what follows', async () => {
    await each(ACCEPTED, ({ request, closes }, encounter) => {
      assert.deepEqual(seen(encounter, request), afterwards(request, closes));
      assert.deepEqual(encounter.complaints, []);
      if (request.method === 'HEAD') return; // its answer has a length and no body
      assert.deepEqual(statuses(encounter), closes ? [200] : [200, 200]);
    });
  });

  it('is refused by a server alone where the proxy cannot judge, and then what follows is not', async () => {
    await each(LEFT_TO_SERVERS, ({ request }, encounter) => {
      const [status, ...further] = statuses(encounter);
      assert.deepEqual(further, [200]);
      const both = afterwards(request);
      assert.deepEqual(seen(encounter, request), status === 200 ? both : both.slice(1));
    });
  });

  it('is read as RFC 9112 says, or refused, however its framing is tampered with', async (t) => {
    t.diagnostic(`ANYHOP_SEED=${seed}`);
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(tampered, async (text) => {
        for (const encounter of await meet(text, TAMPERED_SILENCE_MS)) {
          const host = `${encounter.server}.example.com`;
          const { requests, end } = readAsRfc(`${text(host)}${second(host)}`);
          const understood = encounter.understood.map(({ method, path: target, body }) => ({
            method,
            target,
            body,
          }));
          const shown = JSON.stringify({ encounter, requests, end }, null, 1);
          assert.ok(isSubsequence(understood.map(key), requests.map(key)), shown);
          if (requests.every(({ method }) => METHODS.has(method)))
            assert.deepEqual(
              encounter.complaints.filter((one) => !isHarmless(one)),
              [],
              shown,
            );
          outcomes.add(`${end}, ${understood.length} of ${requests.length}`);
        }
      }),
      { numRuns: RUNS, seed, includeErrorInReport: true },
    );
    // Both kinds were there: requests that pass, and such that are refused.
    for (const outcome of ['close, 2 of 2', 'refused, 0 of 0'])
      assert.ok(outcomes.has(outcome), [...outcomes].join('; '));
  });

  it('never reached a server without the number that the proxy gave it, nor twice', async () => {
    const reached = stage.recorders.flatMap(({ name: server, requests }) =>
      requests().map(({ id, method, path }) => ({ id, method, server, path })),
    );
    const ids = reached.map(({ id }) => id);
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.length > REFUSED.length);
    // HAProxy leaves out a line rather than wait for another thread that writes one.
    await eventually('the access log has all but those', async () => {
      const log = new Map(logEntries(stage.host).map((entry) => [entry.id, entry]));
      for (const { id, method, server, path } of reached) {
        const entry = log.get(id);
        if (entry !== undefined) assert.deepEqual([entry.method, entry.server], [method, server], path);
      }
      const { droppedLogs = 0 } = (await stage.host.status()).haproxy;
      return ids.filter((id) => !log.has(id)).length <= droppedLogs;
    });
  });
});

const key = (request: object): string => JSON.stringify(request);

function isSubsequence(few: readonly string[], many: readonly string[]): boolean {
  let at = 0;
  return few.every((one) => {
    at = many.indexOf(one, at) + 1;
    return at > 0;
  });
}

/** Refused for a field by which no request ends: Node judges those after a body too, nginx wants one `Expect`. */
function isHarmless(complaint: string): boolean {
  if (complaint.includes('client sent duplicate header line: "expect:')) return true;
  const isOfField = /Invalid header value char|Invalid `Transfer-Encoding`|Content-Length can't be present/;
  return isOfField.test(complaint) && /\\r\\n0\\r\\n/.test(complaint);
}
