/**
 * The forwarding program, loaded several times over with a wrapper of its own each. A program lies elsewhere in memory each time that it is
 * loaded, and takes up to some nanoseconds more or less for that: a figure of one load would say as much about luck as about the
 * program. So a figure is the median of the loads, and of each load the median of its turns.
 */

import { DefenceMaps } from '#anyhop/engine/maps/defence-maps.js';
import { setFleetOffsetMs } from '#anyhop/forward/guard-state.js';
import type { Image } from '#anyhop/image/read.js';
import { FORWARD_PROGRAM, Forwarder } from '../../scripts/native/forwarder.js';
import { median } from '../report.js';
import { type Contender, Harness, type Series, type Subject, type Turns } from './harness.js';

export interface Load {
  readonly harness: Harness;
  readonly forwarder: Forwarder;
  readonly subject: Subject;
}

export class Loads {
  readonly all: readonly Load[];

  /** @param cpu that this process stays on from now on; sizes and object file are as in Forwarder */
  constructor(count: number, cpu: number, ...[sizes, path]: ConstructorParameters<typeof Forwarder>) {
    this.all = Array.from({ length: count }, () => {
      const forwarder = new Forwarder(sizes, path);
      const subject = { object: forwarder.object, program: FORWARD_PROGRAM };
      return { harness: new Harness(cpu), forwarder, subject };
    });
  }

  /** The fleet's time, without which no SYN is answered. */
  tellFleetTime(): void {
    for (const { forwarder } of this.all) {
      const maps = DefenceMaps.of(forwarder.object);
      setFleetOffsetMs(maps.state, 1);
      maps.close();
    }
  }

  publish(image: Image): void {
    for (const { forwarder } of this.all) forwarder.publish(image);
  }

  /** Puts compiled lists in force. @returns how long that took for one of them, in ms */
  async publishLists(compiled: Uint8Array): Promise<number> {
    const took: number[] = [];
    for (const { forwarder } of this.all) {
      const maps = DefenceMaps.of(forwarder.object);
      const start = performance.now();
      await maps.publishLists(compiled);
      took.push(performance.now() - start);
      maps.close();
    }
    return median(took);
  }

  /** Packets counted under each verdict, by all of them. */
  verdicts(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const { forwarder } of this.all) {
      for (const [name, count] of Object.entries(forwarder.verdicts()))
        sums[name] = (sums[name] ?? 0) + count;
    }
    return sums;
  }

  /** Lets the contenders of one load after the other take turns. What a series has of each turn elsewhere, it has here of each load. */
  compare(turns: Turns, contendersOf: (load: Load) => readonly Contender[]): Series[] {
    return medians(this.all.map((load) => load.harness.compare(contendersOf(load), turns)));
  }

  close(): void {
    for (const { harness, forwarder } of this.all) {
      forwarder.close();
      harness.close();
    }
  }
}

/** Of each contender the medians of its loads. */
function medians(loads: readonly Series[][]): Series[] {
  return loads[0].map((first, index) => ({
    ns: loads.map((series) => median(series[index].ns)),
    ratios: loads.map((series) => median(series[index].ratios)),
    action: first.action,
  }));
}
