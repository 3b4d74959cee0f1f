/** Events of a simulation, each with its phrase, which is the same in scripts and reports. */

import { NAME_PATTERN } from '../config/name-fields.js';
import { AnyhopError } from '../core/errors.js';
import { WEIGHT_MAX } from '../core/limits.js';

export type Edit = { readonly force?: boolean } & (
  | { readonly kind: 'drain' | 'undrain' | 'remove'; readonly backend: string }
  | { readonly kind: 'add' | 'weight'; readonly backend: string; readonly weight: number }
);

export type SimEvent =
  | Edit
  /** A health mark on one node (from 0) or on all; the backend keeps working. */
  | { readonly kind: 'down' | 'up'; readonly backend: string; readonly node?: number | undefined }
  /** The machine dies with its connections, or returns without any; health marks do not change. */
  | { readonly kind: 'crash' | 'recover'; readonly backend: string }
  /** A forwarder leaves the router's next hops or returns, or its process restarts. */
  | { readonly kind: 'lose' | 'return' | 'restart'; readonly node: number }
  /** A forwarder neither tells the others which backends it sees down nor hears it, or does so again. */
  | { readonly kind: 'cut' | 'rejoin'; readonly node: number }
  /** The router spreads flows over its next hops in a new way. */
  | { readonly kind: 'rehash' }
  | { readonly kind: 'wait'; readonly seconds: number }
  /** Waits until no node has anything settling or queued. */
  | { readonly kind: 'settle' };

export function isEdit(event: SimEvent): event is Edit {
  return ['drain', 'undrain', 'remove', 'add', 'weight'].includes(event.kind);
}

export function eventText(event: SimEvent): string {
  switch (event.kind) {
    case 'add':
    case 'weight':
      return `${event.force ? 'force ' : ''}${event.kind} ${event.backend} ${event.weight}`;
    case 'drain':
    case 'undrain':
    case 'remove':
      return `${event.force ? 'force ' : ''}${event.kind} ${event.backend}`;
    case 'down':
    case 'up':
      return `${event.kind} ${event.backend}${event.node === undefined ? '' : ` on ${nodeName(event.node)}`}`;
    case 'crash':
    case 'recover':
      return `${event.kind} ${event.backend}`;
    case 'lose':
    case 'return':
    case 'restart':
    case 'cut':
    case 'rejoin':
      return `${event.kind} ${nodeName(event.node)}`;
    case 'wait':
      return `wait ${event.seconds}`;
    default:
      return event.kind;
  }
}

export function nodeName(node: number): string {
  return `node-${node + 1}`;
}

export function backendName(i: number): string {
  return `web-${i + 1}`;
}

const PHRASES = [
  '[force] drain|undrain|remove BACKEND',
  '[force] add|weight BACKEND WEIGHT',
  'down|up BACKEND [on NODE]',
  'flap BACKEND SECONDS [on NODE]',
  'crash|recover BACKEND',
  'lose|return|restart NODE',
  'cut|rejoin NODE',
  'rehash',
  'wait SECONDS',
  'settle',
];

/**
 * Parses phrases separated by commas, semicolons or line ends; `#` starts a comment. `flap` becomes down, wait, up. One wait
 * lasts at most 100,000 seconds.
 * @throws AnyhopError ERR_USAGE with the unknown phrase
 */
export function parseScript(script: string): SimEvent[] {
  return script
    .replaceAll(/#.*$/gm, '')
    .split(/[,;\n]/)
    .map((phrase) => phrase.trim().split(/\s+/))
    .filter(([first]) => first !== '')
    .flatMap((words) => {
      const events = parsePhrase(words);
      if (events !== undefined) return events;
      throw new AnyhopError('ERR_USAGE', `--events: ${JSON.stringify(words.join(' '))} is not an event`, {
        hint: `Events are: ${PHRASES.join('; ')}.`,
      });
    });
}

function parsePhrase(words: readonly string[]): SimEvent[] | undefined {
  if (words[0] === 'force') {
    const events = parsePhrase(words.slice(1));
    return events?.length === 1 && isEdit(events[0]) ? [{ ...events[0], force: true }] : undefined;
  }
  const [kind, ...rest] = words;
  switch (kind) {
    case 'rehash':
    case 'settle':
      return rest.length === 0 ? [{ kind }] : undefined;
    case 'wait': {
      const seconds = rest.length === 1 ? parseSeconds(rest[0]) : undefined;
      return seconds === undefined ? undefined : [{ kind, seconds }];
    }
    case 'lose':
    case 'return':
    case 'restart':
    case 'cut':
    case 'rejoin': {
      const node = rest.length === 1 ? parseNode(rest[0]) : undefined;
      return node === undefined ? undefined : [{ kind, node }];
    }
    default:
      return rest.length > 0 && NAME_PATTERN.test(rest[0])
        ? ofBackend(kind, rest[0], rest.slice(1))
        : undefined;
  }
}

function ofBackend(kind: string, backend: string, rest: readonly string[]): SimEvent[] | undefined {
  switch (kind) {
    case 'drain':
    case 'undrain':
    case 'remove':
    case 'crash':
    case 'recover':
      return rest.length === 0 ? [{ kind, backend }] : undefined;
    case 'add':
    case 'weight': {
      const weight =
        rest.length === 0 && kind === 'add' ? 1 : Number(rest.length === 1 ? rest[0] : Number.NaN);
      const isWeight = Number.isInteger(weight) && weight >= 0 && weight <= WEIGHT_MAX;
      return isWeight ? [{ kind, backend, weight }] : undefined;
    }
    case 'down':
    case 'up': {
      const on = parseOn(rest);
      return on && [{ kind, backend, ...on }];
    }
    case 'flap': {
      const seconds = parseSeconds(rest[0] ?? '');
      const on = parseOn(rest.slice(1));
      if (seconds === undefined || on === undefined) return undefined;
      return [
        { kind: 'down', backend, ...on },
        { kind: 'wait', seconds },
        { kind: 'up', backend, ...on },
      ];
    }
    default:
      return undefined;
  }
}

function parseOn(words: readonly string[]): { node?: number } | undefined {
  if (words.length === 0) return {};
  const node = words.length === 2 && words[0] === 'on' ? parseNode(words[1]) : undefined;
  return node === undefined ? undefined : { node };
}

function parseNode(text: string): number | undefined {
  const [, number] = /^(?:node-)?([1-9]\d{0,3})$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) - 1;
}

function parseSeconds(text: string): number | undefined {
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  return seconds > 0 && seconds <= 100_000 ? seconds : undefined;
}
