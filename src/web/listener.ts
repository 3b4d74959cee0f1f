/**
 * The main thread's side of a process's HTTP listener. All of HTTP is in a worker, so that clients, however slow or many, and the making
 * of text cost the main thread nothing; it only collects numbers when it is asked, at most once a second.
 *
 *   scraper --HTTP--> worker --ask--> this --collect--> tables --numbers--> worker --text--> scraper
 *
 * A worker that ends of itself is started again, later each time.
 */
import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import { credentialsOf, isGuarded, isLoopback, type MetricsConfig } from '../config/metrics/types.js';
import {
  WEB_CLOSE_MS,
  WEB_HEAP_MB_MAX,
  WEB_LIVED_MS,
  WEB_RESTART_MS_MAX,
  WEB_RESTART_MS_MIN,
} from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { logLosses } from '../core/log-sink.js';
import { reasonOf } from '../core/reason.js';
import { TableSender } from '../metrics/mail.js';
import type { MetricTable } from '../metrics/table.js';
import type { FromWorker, ListenerSetup, PagesSetup, SampleMail, ToWorker } from './mail.js';

export interface ListenerOptions {
  readonly log: Logger;
  /** What there is to tell now. A failure is answered with 503, and logged. */
  readonly collect: () => readonly MetricTable[] | Promise<readonly MetricTable[]>;
  /** Other pages than the metrics; only for listeners that strangers cannot reach. */
  readonly pages?: PagesSetup | undefined;
  /** For tests. */
  readonly listening?: (port: number) => void;
}

export class Listener {
  readonly #options: ListenerOptions;
  #setup: ListenerSetup | undefined;
  #worker: Worker | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  #again: NodeJS.Timeout | undefined;
  #againMs = WEB_RESTART_MS_MIN;
  #isFailing = false;

  /** @param config undefined: there is no listener for now */
  constructor(config: MetricsConfig | undefined, options: ListenerOptions) {
    this.#options = options;
    this.use(config);
  }

  /** A config is in force; files that it names have been read anew. When anything differs from before, open connections end. */
  use(config: MetricsConfig | undefined, pages = this.#options.pages): void {
    const before = this.#setup;
    const setup = config && setupOf(config, pages);
    this.#setup = setup;
    if (setup === undefined) this.#stop();
    else if (this.#worker === undefined) this.#start(setup);
    else if (!isDeepStrictEqual(setup, before)) this.#tell({ kind: 'setup', setup });
  }

  /** Ends open connections. */
  async close(): Promise<void> {
    this.use(undefined);
    await this.#ended;
  }

  #start(setup: ListenerSetup): void {
    clearTimeout(this.#again);
    const startedMs = performance.now();
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      name: 'listener',
      workerData: setup,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: WEB_HEAP_MB_MAX },
    });
    worker.unref(); // what the process is for keeps it alive
    this.#worker = worker;
    const sender = new TableSender();
    worker.on('message', (mail: FromWorker) => void this.#take(mail, worker, sender));
    worker.on('error', (error) => {
      const why = reasonOf(error);
      this.#options.log.error(
        { event: 'listener_ended', why },
        `the listener for metrics has ended, and is started again: ${why}`,
      );
    });
    this.#ended = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        resolve();
        if (this.#worker === worker) this.#restart(startedMs);
      });
    });
  }

  /** It has ended of itself. */
  #restart(startedMs: number): void {
    this.#worker = undefined;
    if (performance.now() - startedMs >= WEB_LIVED_MS) this.#againMs = WEB_RESTART_MS_MIN;
    this.#again = setTimeout(() => {
      if (this.#setup !== undefined && this.#worker === undefined) this.#start(this.#setup);
    }, this.#againMs).unref();
    this.#againMs = Math.min(this.#againMs * 2, WEB_RESTART_MS_MAX);
  }

  #stop(): void {
    clearTimeout(this.#again);
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#tell({ kind: 'close' });
    this.#worker = undefined;
    const late = setTimeout(() => void worker.terminate(), WEB_CLOSE_MS);
    this.#ended = this.#ended.then(() => clearTimeout(late));
  }

  async #take(mail: FromWorker, worker: Worker, sender: TableSender): Promise<void> {
    if (mail.kind === 'log') this.#options.log[mail.level](mail.fields, mail.text);
    else if (mail.kind === 'listening') this.#options.listening?.(mail.port);
    else await this.#answer(mail.id, worker, sender);
  }

  async #answer(id: number, worker: Worker, sender: TableSender): Promise<void> {
    const startMs = performance.now();
    let tables: readonly MetricTable[];
    try {
      tables = await this.#options.collect();
      this.#isFailing = false;
    } catch (error) {
      const why = reasonOf(error);
      if (!this.#isFailing)
        this.#options.log.error({ event: 'metrics_failed', why }, `metrics cannot be told: ${why}`);
      this.#isFailing = true;
      worker.postMessage({ kind: 'no sample', id, why } satisfies ToWorker);
      return;
    }
    const packed = sender.pack(tables);
    const sample: SampleMail = {
      ...packed,
      collectMs: performance.now() - startMs,
      activeMs: performance.eventLoopUtilization().active,
      logLinesLost: logLosses()?.lines ?? 0,
    };
    worker.postMessage({ kind: 'sample', id, sample } satisfies ToWorker, [packed.numbers.buffer]);
  }

  #tell(mail: ToWorker): void {
    this.#worker?.postMessage(mail);
  }
}

function setupOf(config: MetricsConfig, pages: PagesSetup | undefined): ListenerSetup {
  const { listen } = config;
  return {
    host: listen.address.text,
    port: listen.port,
    isLoopback: isLoopback(listen),
    ...credentialsOf(config),
    pages: isLoopback(listen) || isGuarded(config) ? pages : undefined,
  };
}
