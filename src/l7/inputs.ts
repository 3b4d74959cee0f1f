/** Everything that HAProxy's files are made of, and the way from it to HAProxy. */
import type { L7Config } from '../config/l7/types.js';
import type { Certificates } from './certificates.js';
import type { HaproxyConfig } from './haproxy/prepare.js';
import { needsOf } from './needs.js';
import { renderL7 } from './render/render.js';
import type { Rendering } from './render/rendering.js';

export interface Inputs {
  /** With what was said of servers at runtime, and fitted to this host (needs.ts). */
  readonly config: L7Config;
  readonly certificates: Certificates;
  /** For the ticket keys. */
  readonly now: Date;
}

/** Renderings that are compared have this directory. */
const COMPARED = '/run/compared/g0';

export function haproxyConfig(inputs: Inputs): HaproxyConfig {
  return { render: (directory) => rendered(inputs, directory), needs: needsOf(inputs.config) };
}

/** In one directory: two renderings of equal inputs are equal. */
export function comparable(inputs: Inputs): Rendering {
  return rendered(inputs, COMPARED);
}

function rendered({ config, certificates, now }: Inputs, directory: string): Rendering {
  return renderL7(config, { directory, certificates, now });
}
