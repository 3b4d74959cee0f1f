/** What HAProxy says: kept and logged, in bounded length, number and rate. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Journal } from '#anyhop/l7/haproxy/journal.js';
import { keptLog } from './haproxy-fixture.js';

describe("HAProxy's messages", () => {
  it('are logged by their level, without what comes with every reload', () => {
    const { log, lines } = keptLog();
    new Journal(log).take(
      '[NOTICE]   (1) : New worker (2) forked\n' +
        '[WARNING]  (2) : Proxy u_shop stopped (cumulated conns: FE: 0, BE: 3).\n' +
        '[WARNING]  (2) : Server u_shop/shop-1 is DOWN, reason: Layer4 timeout\n' +
        "[ALERT]    (2) : backend 'u_shop' has no server available!\n" +
        '   | more of it\x1b[2J\n' +
        '[WARNING]  (1) : Former worker (2) exited with code 0 (Exit)\n' +
        '[WARNING]  (1) : Former worker (3) exited with code 139 (Segmentation fault)\n',
    );
    assert.deepEqual(
      lines.filter(({ level }) => level !== 'debug').map(({ level, text }) => [level, text]),
      [
        ['warn', 'Server u_shop/shop-1 is DOWN, reason: Layer4 timeout'],
        ['error', "backend 'u_shop' has no server available!"],
        ['error', '| more of it\\u001b[2J'],
        ['warn', 'Former worker (3) exited with code 139 (Segmentation fault)'],
      ],
    );
    assert.equal(lines.length, 7);
  });

  it('are the same in whatever pieces they arrive', () => {
    const text = '[ALERT]    (1) : one\n   | more\n[NOTICE]   (22) : two\nodd\n[WARNING]  (3) : three\n';
    const whole = new Journal(keptLog().log);
    whole.take(text);
    fc.assert(
      fc.property(fc.array(fc.nat({ max: text.length }), { maxLength: 10 }), (cuts) => {
        const journal = new Journal(keptLog().log);
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        for (let i = 1; i < places.length; i++) journal.take(text.slice(places[i - 1], places[i]));
        assert.deepEqual(journal.since(0), whole.since(0));
      }),
    );
    assert.deepEqual(
      whole.since(0).map((message) => message.text),
      ['one more', 'two', 'three'],
    );
  });

  it('are found from a mark on, and the newest thousand lines are kept', () => {
    const journal = new Journal(keptLog().log);
    for (let i = 0; i < 5000; i++) journal.take(`[NOTICE]   (1) : before ${i}\n`);
    const mark = journal.mark();
    journal.take('[NOTICE]   (1) : after\n');
    assert.deepEqual(
      journal.since(mark).map(({ text }) => text),
      ['after'],
    );
    assert.equal(journal.since(0).length, 1000);
    assert.equal(journal.since(0)[0]!.text, 'before 4001');
  });

  it('take bounded room: a line without an end is cut, and a flood is counted instead of logged', () => {
    const { log, lines } = keptLog();
    const journal = new Journal(log);
    for (let i = 0; i < 1000; i++) journal.take('x'.repeat(10_000));
    journal.take('\n');
    assert.equal(lines.length, 1);
    assert.ok(lines[0]!.text.length <= 400);
    for (let i = 0; i < 10_000; i++) journal.take(`[WARNING]  (1) : Server u_a/s${i} is DOWN\n`);
    assert.equal(lines.length, 100);
    journal.take('[ALERT]    (7) : last\n');
    assert.equal(journal.since(0).at(-1)!.text, 'last');
  });
});
