/**
 * Keeps the host's sockets out of reach through VIPs that are addresses of the host, also when the process is killed: the steering
 * program goes with the process, but an nftables table stays (host-filter.ts). While the program runs, it takes these
 * packets before the table sees any. The next start takes the table over; by hand: `nft delete table netdev anyhop_eth0`.
 */

import { imageMacs, imageVips } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import { installFilter, readFilterComment, removeFilter, replaceElements } from '../host-filter.js';

/** The comment of a table that a portable engine left, and which has nothing of the host's to switch on again. */
const NOTHING_OFF = 'off: ';

export interface Guard {
  publish(image: Image): Promise<void>;
  /** Removes the table, unless it holds what a portable engine that was killed has left to its successor. */
  release(): Promise<void>;
}

/** @throws AnyhopError ERR_TOOL when there is no nft, or it refuses */
export async function guardSockets(link: string, image: Image): Promise<Guard> {
  const found = (await readFilterComment(link)) ?? NOTHING_OFF;
  await installFilter(link, filterOf(image), found);
  return {
    publish: (next) => replaceElements(link, filterOf(next)),
    release: () => (found.trim() === NOTHING_OFF.trim() ? removeFilter(link) : Promise.resolve()),
  };
}

function filterOf(image: Image) {
  return { vips: imageVips(image), macs: imageMacs(image) };
}
