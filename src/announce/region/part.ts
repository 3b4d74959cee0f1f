/** The part of `anyhop announce` that tells DNS hosts what this node announces. */
import type { AnnounceConfig } from '../../config/announce/types.js';
import type { Logger } from '../../core/log.js';
import type { AnnounceLoaded, Part } from '../run.js';
import type { AnnounceStatus } from '../status.js';
import { type OwnPlace, type RegionAnswer, regionAnswer } from './answer.js';
import { RegionServer } from './server.js';

export class RegionPart implements Part {
  readonly #node: string;
  readonly #server: RegionServer;
  #place: OwnPlace;
  #status: AnnounceStatus | undefined;

  /** Undefined when the config has no `announce.listen`. */
  static of(config: AnnounceLoaded, log: Logger): RegionPart | undefined {
    return config.announce.listen === undefined ? undefined : new RegionPart(config, log);
  }

  private constructor({ announce, place: { node } }: AnnounceLoaded, log: Logger) {
    this.#node = node;
    this.#place = placeOf(announce);
    // The config was refused if one of the two were missing.
    this.#server = new RegionServer(announce.listen!, announce.tls!, () => this.#answer(), log);
  }

  changed(status: AnnounceStatus): void {
    this.#status = status;
  }

  /** Another weight, other VIPs, and the certificates as they are now. */
  reconfigure({ announce }: AnnounceLoaded): void {
    this.#place = placeOf(announce);
    this.#server.replace(announce.tls!);
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #answer(): RegionAnswer {
    return regionAnswer({ node: this.#node, vips: this.#status?.vips ?? [] }, this.#place);
  }
}

function placeOf({ region, regions }: AnnounceConfig): OwnPlace {
  const { name, weight } = region!;
  const vips = regions.find((each) => each.name === name)!.vips;
  return { name, weight, vips: new Set(vips.map(({ vip }) => vip.text)) };
}
