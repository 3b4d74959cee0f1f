/**
 * From checked sections `defend` to what holds for each service. Of the node, the pool and the service the nearest wins, field by field.
 * So does the nearest mode; what a rule says of its own mode holds where the rule stands, and before the mode of its section.
 */
import { dirname, resolve } from 'node:path';
import { DEFEND_PER_MS_DEFAULT } from '../../core/limits.js';
import type { Draft, DraftDefend, DraftDefendOtherwise, DraftPool, DraftService } from '../draft.js';
import type {
  CookieSecrets,
  DefendConfig,
  DefendMode,
  DefendRules,
  ListSource,
  ServiceRate,
  SourceRate,
  SynCookies,
} from './types.js';

export const DEFEND_MODE_DEFAULT: DefendMode = 'enforce';
const SHRINK_MAX_WITHOUT_LISTS = 1;
/** Bits that are one source. */
const PREFIXES = { address: { prefix4: 32, prefix6: 64 }, network: { prefix4: 24, prefix6: 48 } } as const;

/** Undefined when no part of the file says anything of it. Needs a draft in which nothing is missing. */
export function defendConfig(
  draft: Draft,
  configFile: string,
  cookies: CookieSecrets | undefined,
): DefendConfig | undefined {
  const { defend, services } = draft;
  if (!saysAnything(draft)) return undefined;
  const rules = new Map<string, DefendRules>();
  for (const service of services) {
    const own = rulesOf(service, draft);
    if (own !== undefined) rules.set(service.name!, own);
  }
  return {
    mode: modeIn([defend]),
    allow: listOf(defend?.allow, configFile),
    block: listOf(defend?.block, configFile),
    maxShrink: defend?.maxShrink ?? SHRINK_MAX_WITHOUT_LISTS,
    rules,
    cookies,
  };
}

export function saysAnything({ defend, pools, services }: Draft): boolean {
  return defend !== undefined || [...pools, ...services].some((each) => each.defend !== undefined);
}

/** The sections that hold for a service, the nearest first. */
export function sectionsOf(service: DraftService, { defend, pools }: Draft): readonly Section[] {
  const pool: DraftPool | undefined = pools.find(({ name }) => name === service.pool);
  return [service.defend, pool?.defend, defend];
}

type Section = DraftDefend | DraftDefendOtherwise | undefined;

/** A field from the nearest section that has it, and its mode. */
export interface Ruled<T> {
  readonly rule: T;
  readonly mode: DefendMode;
  /** Whether a service or its pool says it, and not the node. */
  readonly isOwn: boolean;
}

/** Undefined when no section has the field. */
export function ruled<T extends { readonly mode?: DefendMode | undefined }>(
  sections: readonly Section[],
  fieldOf: (section: NonNullable<Section>) => T | undefined,
): Ruled<T> | undefined {
  const place = sections.findIndex((section) => section !== undefined && fieldOf(section) !== undefined);
  if (place < 0) return undefined;
  const rule = fieldOf(sections[place]!)!;
  const isNearer = sections.slice(0, place).some((section) => section?.mode !== undefined);
  const mode = isNearer ? modeIn(sections) : (rule.mode ?? modeIn(sections));
  return { rule, mode, isOwn: place < sections.length - 1 };
}

/** Where no section holds, nothing is defended. */
function modeIn(sections: readonly Section[]): DefendMode {
  if (sections.every((section) => section === undefined)) return 'off';
  return sections.find((section) => section?.mode !== undefined)?.mode ?? DEFEND_MODE_DEFAULT;
}

/** Undefined when nothing holds for it. */
function rulesOf(service: DraftService, draft: Draft): DefendRules | undefined {
  const sections = sectionsOf(service, draft);
  const lists = modeIn(sections);
  const source = sourceRateOf(sections);
  const isTcp = service.protocol === 'tcp';
  const serviceRate = isTcp ? serviceRateOf(sections) : undefined;
  const synCookies = isTcp ? synCookiesOf(sections) : undefined;
  if (lists === 'off' && !source && !serviceRate && !synCookies) return undefined;
  return { lists, sourceRate: source?.rate, serviceRate, synCookies, ownSources: source?.isOwn ?? false };
}

function sourceRateOf(
  sections: readonly Section[],
): { readonly rate: SourceRate; readonly isOwn: boolean } | undefined {
  const { rule, mode, isOwn } = ruled(sections, ({ sourceRate }) => sourceRate) ?? {};
  if (rule === undefined || mode === undefined || mode === 'off') return undefined;
  const { packets, syn, network, perMs = DEFEND_PER_MS_DEFAULT, by } = rule;
  const { prefix4 = PREFIXES[by].prefix4, prefix6 = PREFIXES[by].prefix6 } = rule;
  return {
    rate: {
      mode,
      packets,
      syn,
      perMs,
      prefix4,
      prefix6,
      network: network && { packets: network.packets, syn: network.syn },
    },
    isOwn: isOwn ?? false,
  };
}

function serviceRateOf(sections: readonly Section[]): ServiceRate | undefined {
  const { rule, mode } = ruled(sections, ({ serviceRate }) => serviceRate) ?? {};
  if (rule === undefined || mode === undefined || mode === 'off') return undefined;
  return { mode, syn: rule.syn!, perMs: rule.perMs ?? DEFEND_PER_MS_DEFAULT };
}

function synCookiesOf(sections: readonly Section[]): DefendRules['synCookies'] {
  const { rule, mode } = ruled(sections, ({ synCookies }) => synCookies && cookiesIn(synCookies)) ?? {};
  if (rule === undefined || mode === undefined || mode === 'off' || rule.when === 'off') return undefined;
  return { mode, when: rule.when };
}

export function cookiesIn(said: NonNullable<DraftDefend['synCookies']>): {
  readonly when: SynCookies;
  readonly mode?: DefendMode | undefined;
} {
  return typeof said === 'string' ? { when: said } : said;
}

function listOf(entries: DraftDefend['allow'], configFile: string): ListSource[] {
  return (entries ?? []).map(({ value }) =>
    'file' in value
      ? { kind: 'file', path: resolve(dirname(configFile), value.file), reloadMs: value.reload }
      : { kind: 'prefix', prefix: value },
  );
}
