/** What of the section `defend` goes into images, with keys. Keys and their fingerprints are derived once for each secret. */
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
  return {
    rules: { key: sourcesKey(node.key), byService: defend.rules },
    cookieKey: usesCookies(defend) ? (defend.cookies?.own?.reveal() ?? fleetKey(node.key)) : undefined,
  };
}

/**
 * What agents must have of this node's key; undefined when it makes no cookies. The key has a file of its own, or is derived of the fleet's
 * secret: for roles that read no files, always that.
 */
export function cookieFingerprint(defend: DefendConfig | undefined, node: NodeConfig): string | undefined {
  if (!usesCookies(defend)) return undefined;
  const own = defend?.cookies?.own;
  return own === undefined ? fleetFingerprint(node.key) : ownFingerprint(own);
}

/** Looked up for each backend and for each report of an agent, of thousands of services. */
const uses = new WeakMap<DefendConfig, boolean>();

/** Whether a service answers SYNs with cookies. */
export function usesCookies(defend: DefendConfig | undefined): boolean {
  if (defend === undefined) return false;
  const known =
    uses.get(defend) ?? [...defend.rules.values()].some(({ synCookies }) => synCookies !== undefined);
  uses.set(defend, known);
  return known;
}

const fleetKey = once(deriveCookieKey);
const fleetFingerprint = once((secret) => cookieKeyFingerprint(deriveCookieKey(secret)));
const ownFingerprint = once(cookieKeyFingerprint);
const sourcesKey = once((secret): FlowKey => flowKeyFor(secret, 'sources'));

function once<T>(derive: (secret: Uint8Array) => T): (secret: Secret) => T {
  const known = new WeakMap<Secret, T>();
  return (secret) => {
    const key = known.get(secret) ?? derive(secret.reveal());
    known.set(secret, key);
    return key;
  };
}
