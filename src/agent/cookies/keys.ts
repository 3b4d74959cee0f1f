/** Under which keys this host takes SYN cookies of the fleet, by the config. */
import type { LoadedConfig } from '../../config/types.js';
import { deriveCookieKey } from '../../hash/cookie-key.js';

type Defended = Pick<LoadedConfig<'agent'>, 'defend'>;

/** Whether the config says that forwarders answer SYNs, or gives this host a key, which has no other use. */
export function wantsCookies({ defend }: Defended): boolean {
  if (defend === undefined) return false;
  if (defend.cookies?.own !== undefined) return true;
  return [...defend.rules.values()].some(({ synCookies }) => synCookies !== undefined);
}

/**
 * The key in force, and the former one, COOKIE_KEY_SIZE bytes each; none without a secret that this host can read. On the way from
 * the key that follows from the fleet's secret to a key of its own, that one is the former.
 */
export function cookieKeysOf({ defend }: Defended): Uint8Array[] {
  const { own, former, fleet } = defend?.cookies ?? {};
  const derived = fleet && deriveCookieKey(fleet.reveal());
  const found = own === undefined ? [derived, former?.reveal()] : [own.reveal(), former?.reveal() ?? derived];
  return found.filter((key) => key !== undefined);
}
