/**
 * The number by which keepalived knows how good this node is; it is added to the priority of its VRRP instances.
 *
 *     100   all VIPs are announced            50   all are draining            0   none: the node would drop what comes
 *
 * Between these it is the mean over the VIPs, so the forwarder that can take more of them gets the addresses. The numbers are positive
 * because keepalived takes a file that is missing, empty or damaged for 0, and two nodes at 0 still have a master: a try is better than a
 * certain drop.
 */

export const TRACK_READY = 100;
export const TRACK_DRAINING = 50;
export const TRACK_NOT_READY = 0;
/** keepalived takes weight * number <= -254 for a fault: it gives up the addresses at once. */
export const TRACK_FAULT = -254;

const POINTS = { announced: TRACK_READY, draining: TRACK_DRAINING, withdrawn: TRACK_NOT_READY } as const;

/** The number of a node whose VIPs are announced so: 0 to 100; 0 only when none is announced or draining. */
export function trackNumber(vips: readonly { readonly state: keyof typeof POINTS }[]): number {
  const sum = vips.reduce((points, { state }) => points + POINTS[state], 0);
  return sum === 0 ? TRACK_NOT_READY : Math.max(Math.round(sum / vips.length), 1);
}
