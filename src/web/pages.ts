/**
 * How other pages than the metrics come to the listener: a module, imported by its worker, that exports `mount`. The listener has seen to
 * limits, login, certificates and the Host header before a page hears of a request.
 *
 *     export const mount: Mount = ({ data, log }) => ({ answer(exchange) { ... }, close() { ... } });
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Credentials } from '../config/metrics/types.js';
import type { LogFields } from '../core/log.js';
import type { PagesSetup } from './mail.js';

export type Mount = (mounted: Mounted) => Pages;

/** With what siblings are asked with, too: a fleet has one. */
export interface Mounted extends Credentials {
  /** As the main thread gave it. */
  readonly data: PagesSetup['data'];
  /** Written by the main thread. */
  readonly log: (level: 'info' | 'warn' | 'error', fields: LogFields, text: string) => void;
}

export interface Pages {
  /** @returns false when there is no such page: then the listener says so */
  answer(exchange: Exchange): boolean;
  /** The listener closes, or mounts the pages anew for another config. */
  close(): void;
}

/** A GET or HEAD request without a body. */
export interface Exchange {
  readonly request: IncomingMessage;
  /** With security headers that allow nothing; a page sets its own `content-security-policy`. */
  readonly response: ServerResponse;
  readonly url: URL;
  /** The answer goes on for as long as somebody reads it: from now on it has no deadline. */
  stays(): void;
}
