/**
 * Rows of others that come before ours. Of the rows of one prefix the kernel and the routing daemons know the smallest metric alone, so a row
 * that somebody made by hand, without a metric (0), keeps a VIP from all routers, though ours is there.
 */
import { ANNOUNCE_ROUTES_SEARCHED_MAX, ROUTE_TABLE_MAIN } from '../core/limits.js';
import { type HostRoute, type HostRoutes, readHostRoutes } from '../ffi/rows.js';
import { addressFromBytes } from '../packet/address.js';
import { isOurs, ownerText, type Row, searchedProtocols } from './rows.js';

const NONE: ReadonlyMap<string, string> = new Map();
/** In the main table, which may have a million routes of a routing daemon to walk. */
const MAIN_LOOKS = 10;

export class HidingRows {
  readonly #table: number;
  #looks = 0;
  #read: readonly HostRoutes[] = [];
  #rows: readonly Row[] = [];
  #found = NONE;

  constructor(table: number) {
    this.#table = table;
  }

  /**
   * Looks again; each tenth time in the main table.
   * @param rows of ours
   * @returns by VIP, in words, what comes before it: the same map again when nothing has changed
   * @throws AnyhopError ERR_ROUTE when the kernel cannot be asked
   */
  find(rows: readonly Row[]): ReadonlyMap<string, string> {
    const before = this.#read;
    if (this.#table !== ROUTE_TABLE_MAIN || this.#looks++ % MAIN_LOOKS === 0)
      this.#read = searchedProtocols(this.#table).map((protocol) =>
        readHostRoutes(this.#table, { protocol, routesMax: ANNOUNCE_ROUTES_SEARCHED_MAX }),
      );
    if (rows === this.#rows && this.#read.every((each, i) => each === before[i])) return this.#found;
    this.#rows = rows;
    const metrics = new Map(rows.map(({ vip, metric }) => [vip.text, metric]));
    const first = new Map<string, HostRoute>();
    for (const route of this.#read.flatMap(({ routes }) => routes)) {
      if (isOurs(route)) continue;
      const { text } = addressFromBytes(route.address);
      const metric = first.get(text)?.metric ?? metrics.get(text);
      if (metric !== undefined && route.metric < metric) first.set(text, route);
    }
    this.#found =
      first.size === 0
        ? NONE
        : new Map(
            [...first].map(([vip, route]) => [vip, `${ownerText(this.#table, route)}, which comes first`]),
          );
    return this.#found;
  }
}
