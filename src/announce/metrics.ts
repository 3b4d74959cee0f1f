/** What `anyhop announce` measures, as tables. */
import type { Reloads } from '../metrics/reloads.js';
import { info, type MetricTable, single, states } from '../metrics/table.js';
import type { Announcement, AnnounceStatus, Heard } from './status.js';

const ANNOUNCEMENTS: readonly Announcement[] = ['announced', 'draining', 'withdrawn'];
const HEARD: readonly Heard[] = ['asked', 'starting', 'serving', 'stopping', 'left', 'silent', 'gone'];

export function announceTables(
  { node, table, vips, heard, orphan, held, trackFile }: AnnounceStatus,
  reloads: Reloads,
): readonly MetricTable[] {
  return [
    reloads.table(),
    info('anyhop_announce_info', [[node, String(table)]]),
    states(
      'anyhop_announce_vip_state',
      ANNOUNCEMENTS,
      vips.map(({ vip, state }) => ({ labels: [vip], state })),
    ),
    states('anyhop_announce_node_heard', HEARD, [{ labels: [], state: heard.state }]),
    single({
      anyhop_announce_orphaned: orphan !== undefined,
      anyhop_announce_held: held !== undefined,
      anyhop_announce_track_number: trackFile?.number,
    }),
  ];
}
