/**
 * Keys of SYN cookies: forwarders and agents must have the same one. It stands in a file of its own, so that backends need not hold the
 * secret of the fleet, or is derived of that secret. Messages reveal only its length.
 */
import { COOKIE_KEY_HEX_DIGITS } from '../../core/limits.js';
import type { Draft, DraftDefend } from '../draft.js';
import { isOpenToOthers, readSmallFile } from '../file.js';
import { readKeys } from '../key.js';
import { namedFiles } from '../named-files.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';
import { Secret } from '../secret.js';
import { describeSecret } from '../shape.js';
import { saysAnything } from './resolve.js';
import type { CookieSecrets } from './types.js';

const KEY_FILE_BYTES_MAX = COOKIE_KEY_HEX_DIGITS + 1024;
const KEY_PATTERN = new RegExp(`^[0-9A-Fa-f]{${COOKIE_KEY_HEX_DIGITS}}$`);
const KEY_EXPECTED = `${COOKIE_KEY_HEX_DIGITS} hexadecimal digits: openssl rand -hex ${COOKIE_KEY_HEX_DIGITS / 2}`;

/** @param fleet the secret of the fleet, where the role has it; agents find out here whether their host has it */
export function readCookieSecrets(
  draft: Draft,
  configFile: string,
  fleet: Secret | undefined,
  report: Report,
  warn: Report,
): CookieSecrets | undefined {
  if (!saysAnything(draft)) return undefined;
  const { defend } = draft;
  const own = defend && readOne(defend, 'cookie_key_file', defend.cookieKeyFile, configFile, report, warn);
  const former =
    defend && readOne(defend, 'former_cookie_key_file', defend.formerCookieKeyFile, configFile, report, warn);
  return { own, former, fleet };
}

/** Of the host of an agent, which may have it and need not. */
export function fleetSecretHere({ node }: Draft, configFile: string): Secret | undefined {
  return node && readKeys(node, configFile, undefined, unheard, unheard)?.key;
}

const unheard: Report = () => undefined;

function readOne(
  { at }: DraftDefend,
  field: string,
  path: string | undefined,
  configFile: string,
  report: Report,
  warn: Report,
): Secret | undefined {
  const place = [...at, field];
  return namedFiles(at, configFile, report)(field, path, (file) => {
    const { bytes, mode } = readSmallFile(file, KEY_FILE_BYTES_MAX);
    const text = new TextDecoder().decode(bytes).trim();
    if (!KEY_PATTERN.test(text)) {
      report(place, `${quote(file)} holds ${describeSecret(text)}; expected ${KEY_EXPECTED}`);
      return undefined;
    }
    if (isOpenToOthers(mode))
      warn(
        place,
        `${quote(file)} holds a key of SYN cookies, and every user can access it; run chmod 600 on it`,
      );
    return new Secret(Uint8Array.from(Buffer.from(text, 'hex')));
  });
}
