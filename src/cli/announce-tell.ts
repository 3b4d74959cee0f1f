/** `anyhop announce --withdraw` and `--resume`: asks the process that runs, and does without one what can be done. */
import { forgetHold, withdrawWithoutProcess } from '../announce/withdraw.js';
import { AnyhopError } from '../core/errors.js';
import { printable } from '../core/printable.js';
import { type AnnounceOptions, isNoAnnouncer, loadAnnounce, tellAnnouncer } from './announce-place.js';
import { writeResult } from './output.js';

export async function withdrawAll(options: AnnounceOptions): Promise<void> {
  const { announce, place } = loadAnnounce(options);
  try {
    const status = await tellAnnouncer(place.socket, '/announce/withdraw', { until: 'resume' });
    const left = status.vips.find(({ state }) => state !== 'withdrawn');
    if (left !== undefined)
      throw new AnyhopError(
        'ERR_ROUTE',
        `${printable(left.vip)} still has its row: ${printable(left.reason)}`,
      );
    writeResult(
      options.json,
      status,
      () => `withdrawn: ${vips(status.vips.length)}, until "anyhop announce --resume"\n`,
    );
  } catch (error) {
    if (!isNoAnnouncer(error)) throw error;
    const rows = await withdrawWithoutProcess(place, announce.table, 'withdraw', announce.trackFile);
    writeResult(
      options.json,
      { table: announce.table, removed: rows.map(({ vip, metric }) => ({ vip: vip.text, metric })) },
      () =>
        `removed ${rows.length} ${rows.length === 1 ? 'row' : 'rows'} from table ${announce.table}; no "anyhop announce" runs. ` +
        'The next one announces nothing until "anyhop announce --resume"\n',
    );
  }
}

export async function resumeAll(options: AnnounceOptions): Promise<void> {
  const { place } = loadAnnounce(options);
  try {
    const status = await tellAnnouncer(place.socket, '/announce/resume', {});
    writeResult(options.json, status, () => 'announcing again what the node is ready for\n');
  } catch (error) {
    if (!isNoAnnouncer(error)) throw error;
    const wasHeld = await forgetHold(place);
    writeResult(options.json, { wasHeld }, () =>
      wasHeld
        ? 'the next "anyhop announce" announces again; none runs now\n'
        : 'nothing was held back, and no "anyhop announce" runs\n',
    );
  }
}

const vips = (count: number): string => `${count} ${count === 1 ? 'VIP' : 'VIPs'}`;
