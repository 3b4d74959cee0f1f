/**
 * What a node tells DNS hosts of itself: `GET /region` on `announce.listen`, over TLS with a certificate on both sides. A DNS host
 * believes an answer only if it is whole, and of the node and the region that it asked.
 */
import * as z from 'zod';
import { REGION_NODE_WEIGHT_MAX, REGION_VIPS_MAX } from '../../core/limits.js';

export const REGION_PATH = '/region';

export interface RegionAnswer {
  readonly node: string;
  readonly region: string;
  /** Whether it announces any of the region's VIPs. */
  readonly ready: boolean;
  /** Whether it leaves: it still forwards, and new clients go elsewhere. */
  readonly draining: boolean;
  /** How much it carries, relative to other nodes. */
  readonly weight: number;
  /** Of the region. */
  readonly vips: readonly RegionAnswerVip[];
}

export interface RegionAnswerVip {
  readonly vip: string;
  readonly state: 'announced' | 'draining' | 'withdrawn';
}

/** What of a node's announcements goes into its answer. */
export interface Announced {
  readonly node: string;
  readonly vips: readonly RegionAnswerVip[];
}

export interface OwnPlace {
  readonly name: string;
  readonly weight: number;
  /** VIPs of the region, by their text. */
  readonly vips: ReadonlySet<string>;
}

export function regionAnswer({ node, vips: all }: Announced, { name, weight, vips }: OwnPlace): RegionAnswer {
  const own = all.filter(({ vip }) => vips.has(vip)).map(({ vip, state }) => ({ vip, state }));
  const has = (state: RegionAnswerVip['state']): boolean => own.some((each) => each.state === state);
  const ready = has('announced');
  return { node, region: name, ready, draining: !ready && has('draining'), weight, vips: own };
}

/** Unknown keys are left out: nodes may be newer than the DNS host. */
const answerSchema = z.object({
  node: z.string(),
  region: z.string(),
  ready: z.boolean(),
  draining: z.boolean(),
  weight: z.int().min(1).max(REGION_NODE_WEIGHT_MAX),
  vips: z
    .array(z.object({ vip: z.string().max(64), state: z.enum(['announced', 'draining', 'withdrawn']) }))
    .max(REGION_VIPS_MAX),
});

/** @throws Error that says in one line what is wrong with it */
export function readRegionAnswer(text: string, node: string, region: string): RegionAnswer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('its answer is no JSON');
  }
  const { success, data, error } = answerSchema.safeParse(value);
  if (!success) throw new Error(`its answer is wrong at "${(error.issues[0]?.path ?? []).join('.')}"`);
  if (data.node !== node) throw new Error('the answer is of another node');
  if (data.region !== region) throw new Error('the node says that it is in another region');
  return data;
}
