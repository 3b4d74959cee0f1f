/** What `anyhop stop` does first: it withdraws what is announced for the forwarding that it is about to end. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readKeptOrHold, socketOfKept } from '../announce/kept.js';
import { networkNamespace } from '../announce/place.js';
import type { AnnounceStatus } from '../announce/status.js';
import { withdrawWithoutProcess } from '../announce/withdraw.js';
import { RUN_DIRECTORY_DEFAULT, WITHDRAWN_SETTLES_MS } from '../core/limits.js';
import { printable } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';
import { type Link, readLinks } from '../underlay/link.js';
import { lockLeftovers } from '../underlay/lock.js';
import { announcerSockets, ask, Refusal, tell } from './control-client.js';
import { writeError } from './output.js';

/** What the config says of the announcer of this host. */
export interface NamedAnnouncer {
  readonly socket: string;
  /** announce.track_file */
  readonly trackFile: string | undefined;
}

/**
 * Withdraws, and gives routers a second to take it in. A failure is told, and ends nothing: an announcer that runs finds out by itself that
 * the program is gone, two seconds later.
 * @param name of the interface
 * @param named undefined without a config
 */
export async function withdrawFirst(name: string, named: NamedAnnouncer | undefined): Promise<void> {
  if (await isNodeRunning(name)) return; // the command is about to be refused
  try {
    const link = (await readLinks()).get(name);
    const asked = await askAnnouncers(name, link, named?.socket);
    const vips = asked ?? (await withdrawLeft(name, link, named));
    if (vips === 0) return;
    writeError(`withdrew ${vips} ${vips === 1 ? 'VIP' : 'VIPs'} first, so that routers send nothing more\n`);
    await delay(WITHDRAWN_SETTLES_MS);
  } catch (error) {
    writeError(`anyhop: what is announced could not be withdrawn first: ${reasonOf(error)}\n`);
  }
}

async function isNodeRunning(name: string): Promise<boolean> {
  try {
    await (await lockLeftovers('run', name)).release();
    return false;
  } catch {
    return true; // or it cannot be told, as the command is about to say
  }
}

/** @returns how many VIPs had rows; undefined when no announcer is there */
async function askAnnouncers(
  name: string,
  link: Link | undefined,
  socket: string | undefined,
): Promise<number | undefined> {
  let vips: number | undefined;
  let left: AnnounceStatus['vips'][number] | undefined;
  for (const each of new Set([...(socket === undefined ? [] : [socket]), ...(await announcerSockets())])) {
    try {
      const status = (await ask(each, '/announce/status')) as AnnounceStatus;
      if (status.networkNamespace !== networkNamespace() || !isOn(name, link, status.engine?.interface))
        continue;
      vips = (vips ?? 0) + status.vips.filter(({ metric }) => metric !== undefined).length;
      const after = (await tell(each, '/announce/withdraw', { until: 'ready' })) as AnnounceStatus;
      left ??= after.vips.find(({ state }) => state !== 'withdrawn');
    } catch (error) {
      if (error instanceof Refusal) throw error;
      // Nobody is there: `withdrawLeft`.
    }
  }
  if (left !== undefined)
    throw new Error(`${printable(left.vip)} still has its row: ${printable(left.reason)}`);
  return vips;
}

/** What announcers left that do not run. @returns how many rows there were */
async function withdrawLeft(
  name: string,
  link: Link | undefined,
  named: NamedAnnouncer | undefined,
): Promise<number> {
  let rows = 0;
  for (const each of new Set([...(named === undefined ? [] : [named.socket]), ...keptSockets()])) {
    const kept = readKeptOrHold(each);
    if (kept?.namespace !== networkNamespace() || !isOn(name, link, kept.forwarding?.engine.interface))
      continue;
    // keepalived, too, goes by what that announcer said last.
    const trackFile = each === named?.socket ? named.trackFile : undefined;
    rows += (await withdrawWithoutProcess({ socket: each }, kept.table, 'stop', trackFile)).length;
  }
  return rows;
}

function keptSockets(): string[] {
  let names: string[];
  try {
    names = readdirSync(RUN_DIRECTORY_DEFAULT);
  } catch {
    return [];
  }
  return names.flatMap((name) => socketOfKept(join(RUN_DIRECTORY_DEFAULT, name)) ?? []);
}

/**
 * Whether an interface is the one of this name, which may have another name now.
 * @param link of this name, as netlink has it: /sys may show another network namespace than the one of this process
 */
function isOn(
  name: string,
  link: Link | undefined,
  place: { readonly name: string; readonly index: number } | undefined,
): boolean {
  if (place === undefined) return false;
  return link === undefined ? place.name === name : link.index === place.index;
}
