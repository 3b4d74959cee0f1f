/** Certificates that expire: which are told, and how often. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LoadedCertificate } from '#anyhop/config/l7/certificates.js';
import { ExpiryReminder, expiring, expiryOf, sentenceOf } from '#anyhop/l7/certificate-expiry.js';
import type { Certificates } from '#anyhop/l7/certificates.js';

const DAY_MS = 86_400_000;
const NOW = new Date('2027-01-01T12:00:00Z');
const after = (days: number): Date => new Date(NOW.getTime() + days * DAY_MS);
const certificates = (...days: readonly number[]): Certificates =>
  new Map([
    ['web', days.map((each, i) => ({ path: `/certs/${i}.pem`, notAfter: after(each) }) as LoadedCertificate)],
  ]);

describe('a certificate', () => {
  it('expires soon in its last two weeks', () => {
    const days = [14.1, 14, 1, 0, -1];
    assert.deepEqual(
      days.map((each) => expiryOf({ notAfter: after(each) }, NOW)),
      [undefined, 'soon', 'soon', 'expired', 'expired'],
    );
  });

  it('is told with its file, its frontend and the day', () => {
    assert.deepEqual(expiring(certificates(30, 2, -1), NOW).map(sentenceOf), [
      '1.pem of web expires on 2027-01-03',
      '2.pem of web has expired on 2026-12-31: clients refuse it',
    ]);
  });

  it('is told at once, then once a day, and again when it has expired or was replaced by another that expires', () => {
    const reminder = new ExpiryReminder();
    const due = (days: number, ofDays = [3]): number => {
      const now = after(days);
      return reminder.due(expiring(certificates(...ofDays), now), now).length;
    };
    assert.deepEqual([due(0), due(0.1), due(0.9), due(1), due(1.1)], [1, 0, 0, 1, 0]);
    assert.deepEqual([due(3.1), due(3.2)], [1, 0], 'expired');
    assert.deepEqual([due(3.3, [5]), due(3.4, [5])], [1, 0], 'replaced');
    assert.deepEqual([due(3.5, [50]), due(3.6, [5])], [0, 1], 'forgotten in between');
  });
});
