/**
 * Results in, changes out: when a backend's mark changes. The first result is believed at once, so that a node knows
 * where it stands after one round; from then on it takes `rise` good results in a row to take a backend up, and `fall`
 * failed ones to take it down. Pure: no time, no names.
 */

/** Where a backend stands after the results so far. */
export interface Standing {
  /** Undefined before the first result. */
  readonly isUp: boolean | undefined;
  /** Results in a row that speak against the mark, below the threshold. */
  readonly against: number;
}

export interface Thresholds {
  /** 1 or more. */
  readonly rise: number;
  readonly fall: number;
}

export const UNKNOWN: Standing = { isUp: undefined, against: 0 };
const UP: Standing = { isUp: true, against: 0 };
const DOWN: Standing = { isUp: false, against: 0 };

/** The mark after one more result; the same object when nothing is different, which is the rule. */
export function judge(mark: Standing, isGood: boolean, { rise, fall }: Thresholds): Standing {
  if (mark.isUp === isGood || mark.isUp === undefined) {
    if (mark.isUp !== undefined && mark.against === 0) return mark;
    return isGood ? UP : DOWN;
  }
  const against = mark.against + 1;
  if (against < (isGood ? rise : fall)) return { isUp: mark.isUp, against };
  return isGood ? UP : DOWN;
}
