/** Rules on the section `announce`: metrics in order, VIPs that a service has, and what goes together with an active-passive pair. */
import type { ConfigDocument } from '../document.js';
import type { Draft } from '../draft.js';
import { nearest } from '../nearest.js';
import { quote } from '../path.js';
import { describePlace, type Report } from '../problems.js';

export function checkAnnounce({ announce, services }: Draft, document: ConfigDocument, report: Report): void {
  if (announce === undefined) return;
  const { at, wrong, metric, drainMetric, vips = [] } = announce;
  if (!wrong.has('metric') && !wrong.has('drain_metric') && drainMetric <= metric)
    report(
      [...at, 'drain_metric'],
      `found ${drainMetric}; expected more than announce.metric, ${metric}: of two rows the kernel and the routing daemons prefer the smaller metric`,
    );
  const known = new Set(services.flatMap(({ vip }) => (vip === undefined ? [] : [vip.text])));
  const seen = new Map<string, (typeof vips)[number]>();
  for (const vip of vips) {
    const { text } = vip.value;
    const first = seen.get(text);
    if (first !== undefined)
      report(
        vip.at,
        `${text} is listed before (${describePlace(document, first.at)}); expected each VIP once`,
      );
    seen.set(text, vip);
    if (known.has(text)) continue;
    const meant = nearest(text, known);
    report(
      vip.at,
      `found ${text}, which no service has; ${meant === undefined ? 'expected the VIP of a service' : `did you mean ${quote(meant)}?`}`,
    );
  }
}

/** Of a node of an active-passive pair: what works, and is seldom what is meant. */
export function warnAboutPair({ announce, node }: Draft, warn: Report): void {
  if (announce?.trackFile === undefined) return;
  const { at, trackFile, withdrawWhen } = announce;
  if (!trackFile.startsWith('/run/'))
    warn(
      [...at, 'track_file'],
      `${trackFile} outlives the machine: after a start, keepalived goes by the number of before until "anyhop announce" runs; ` +
        'advised: a file below /run',
    );
  if (withdrawWhen === 'pool_down')
    warn(
      [...at, 'withdraw_when'],
      'pool_down with announce.track_file: when a pool fails, the addresses move to the node that notices it last, which can do no more; ' +
        'advised: never',
    );
  if (node === undefined || node.stopDelayMs > 0) return;
  if (node.engine === 'portable' || node.engine === 'af_xdp')
    warn(
      [...node.at, node.written.has('stop_delay') ? 'stop_delay' : 'engine'],
      `with engine ${node.engine}, node.stop_delay 0 and announce.track_file, a node that is stopped drops packets until the other one has the ` +
        'addresses; advised: stop_delay of five advertisements of keepalived, such as 1s',
    );
}
