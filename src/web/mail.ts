/** What the main thread and the listener's worker say to each other. */
import type { Credentials } from '../config/metrics/types.js';
import type { LogFields } from '../core/log.js';
import type { TablesMail } from '../metrics/mail.js';

/** A listener as its worker is told of it; private keys and passwords cross to a thread of the same process only. */
export interface ListenerSetup extends Credentials {
  readonly host: string;
  readonly port: number;
  readonly isLoopback: boolean;
  /** Undefined: only metrics. */
  readonly pages: PagesSetup | undefined;
}

export interface PagesSetup {
  /** URL of a module that exports `mount` (pages.ts). */
  readonly module: string;
  /** For it; plain values. */
  readonly data: unknown;
}

export type ToWorker =
  | { readonly kind: 'setup'; readonly setup: ListenerSetup }
  | { readonly kind: 'sample'; readonly id: number; readonly sample: SampleMail }
  | { readonly kind: 'no sample'; readonly id: number; readonly why: string }
  | { readonly kind: 'close' };

export type FromWorker =
  /** The question for a sample; one at a time. */
  | { readonly kind: 'ask'; readonly id: number }
  | { readonly kind: 'listening'; readonly port: number }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly fields: LogFields;
      readonly text: string;
    };

export interface SampleMail extends TablesMail {
  readonly collectMs: number;
  /** Of the main thread, since it started. */
  readonly activeMs: number;
  readonly logLinesLost: number;
}
