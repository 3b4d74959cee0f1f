import { equal, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Debounce } from '#anyhop/discover/debounce.js';

const WAIT_MS = 100;
const found = (...numbers: number[]) => numbers.map((n) => ({ name: `web-${n}`, address: `10.1.0.${n}` }));
const known = ['web-1', 'web-2'];

describe('an answer of a source', () => {
  test('counts once it has been the same for the debounce time', () => {
    const debounce = new Debounce(WAIT_MS);
    debounce.heard(found(1, 2), known, 0);
    equal(debounce.holds(99), undefined);
    ok(debounce.holds(100)?.('web-1'));
    debounce.heard(found(1, 2, 3), known, 110);
    equal(debounce.holds(120), undefined);
    debounce.heard(found(1, 2, 3), known, 150); // asked again, and the same
    equal(debounce.holds(209), undefined);
    ok(debounce.holds(210)?.('web-3'));
  });

  test('that never comes to rest counts for the names of which it says the same', () => {
    const debounce = new Debounce(WAIT_MS);
    debounce.heard(found(1, 2), known, 0);
    for (let turn = 1; turn * 50 <= 450; turn++) {
      debounce.heard(turn % 2 === 0 ? found(2, 3) : found(1, 2, 3), known, turn * 50);
      equal(debounce.holds(turn * 50)?.('web-1') ?? false, false);
    }
    const holds = debounce.holds(450);
    ok(holds?.('web-2') && holds('web-3') && !holds('web-1'));
    // It is quiet at last.
    ok(debounce.holds(550)?.('web-1'));
  });

  test('is forgotten of a name that is gone, and new when it is named again', () => {
    const debounce = new Debounce(WAIT_MS);
    debounce.heard(found(1, 2, 3), known, 0);
    debounce.heard(found(1, 2), known, 200);
    ok(debounce.holds(300)?.('web-3'));
    debounce.heard(found(1, 2), known, 1_000);
    ok(debounce.holds(1_000)?.('web-3'));
    debounce.heard(found(1, 2, 3), known, 1_100);
    equal(debounce.holds(1_199), undefined);
    ok(debounce.holds(1_200)?.('web-3'));
  });
});
