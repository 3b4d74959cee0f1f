/** Metrics of `anyhop announce`: what routers are told, and by which knowledge. */
import { gauge } from '../family.js';

export const ANNOUNCE_FAMILIES = {
  anyhop_announce_info: gauge(
    'The node that is followed, and the table that gets the rows; always 1',
    'node',
    'table',
  ),
  anyhop_announce_vip_state: gauge(
    '1 for the state in which routers see the VIP: announced, draining or withdrawn',
    'vip',
    'state',
  ),
  anyhop_announce_node_heard: gauge('1 for what is heard from the node', 'state'),
  anyhop_announce_orphaned: gauge(
    'Whether the kernel forwards without a process, and VIPs stay announced for a while',
  ),
  anyhop_announce_held: gauge('Whether nothing is announced since somebody said so'),
  anyhop_announce_track_number: gauge('What keepalived is to find in its track file'),
};
