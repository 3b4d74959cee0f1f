/** What of the section `defend` goes into images, with keys. Keys are derived once for each secret. */
import type { DefendConfig } from '../config/defend/types.js';
import type { Secret } from '../config/secret.js';
import type { NodeConfig } from '../config/types.js';
import { cookieKeyFingerprint, deriveCookieKey } from '../hash/cookie-key.js';
import { type FlowKey, flowKeyFor } from '../hash/key.js';
import type { RulesInput } from '../image/rules.js';

export interface ImageDefence {
  readonly rules: RulesInput;
  /** Undefined when no service uses cookies. */
  readonly cookieKey: Uint8Array | undefined;
}

/** Undefined when no service has rules. */
export function imageDefence(defend: DefendConfig | undefined, node: NodeConfig): ImageDefence | undefined {
  if (defend === undefined || defend.rules.size === 0) return undefined;
  const usesCookies = [...defend.rules.values()].some(({ synCookies }) => synCookies !== undefined);
  return {
    rules: { key: sourcesKey(node.key), byService: defend.rules },
    cookieKey: usesCookies ? cookieKeyOf(defend, node) : undefined,
  };
}

/** A key of its own, or the one that is derived of the fleet's secret: for roles that read no files, always that. */
function cookieKeyOf({ cookies }: DefendConfig, node: NodeConfig): Uint8Array {
  return cookies?.own?.reveal() ?? fleetKey(node.key);
}

/** What agents must have of this node's key; undefined when it makes no cookies. */
export function cookieFingerprint(defend: DefendConfig | undefined, node: NodeConfig): string | undefined {
  const key = imageDefence(defend, node)?.cookieKey;
  return key && cookieKeyFingerprint(key);
}

const fleetKey = once(deriveCookieKey);
const sourcesKey = once((secret): FlowKey => flowKeyFor(secret, 'sources'));

function once<T>(derive: (secret: Uint8Array) => T): (secret: Secret) => T {
  const known = new WeakMap<Secret, T>();
  return (secret) => {
    const key = known.get(secret) ?? derive(secret.reveal());
    known.set(secret, key);
    return key;
  };
}
