/** The main thread's side of the worker: it starts with the first question of a round, and ends with the round, memory and all. */
import { Worker } from 'node:worker_threads';
import { LISTS_ANSWER_MS_MAX, LISTS_HEAP_MB_MAX } from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import type { ListsInput } from './compile.js';
import type { FromWorker, ToKeep, ToRead, ToWorker, WasRead } from './mail.js';

export class ListsCompiler {
  #worker: Worker | undefined;

  async read(files: readonly ToRead[]): Promise<readonly WasRead[]> {
    const answer = await this.#ask({ read: files });
    if ('lists' in answer) return answer.lists;
    throw unexpected();
  }

  async compile(input: ListsInput): Promise<SharedArrayBuffer | undefined> {
    const answer = await this.#ask({ compile: input });
    if ('memory' in answer) return answer.memory;
    throw unexpected();
  }

  /** @returns for each, why it is not kept */
  async keep(lists: readonly ToKeep[]): Promise<readonly (string | undefined)[]> {
    const answer = await this.#ask({ keep: lists });
    if ('kept' in answer) return answer.kept;
    throw unexpected();
  }

  async end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  /** One question at a time. @throws Error when the worker cannot start, fails, or hangs; the next question starts another */
  async #ask(mail: ToWorker): Promise<FromWorker> {
    this.#worker ??= new Worker(new URL('./worker.js', import.meta.url), {
      name: 'lists',
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: LISTS_HEAP_MB_MAX },
    });
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        worker.off('message', answered).off('error', failed).off('exit', ended);
      };
      const answered = (answer: FromWorker): void => {
        done();
        if ('failed' in answer) reject(new Error(answer.failed));
        else resolve(answer);
      };
      const failed = (error: Error): void => {
        done();
        this.#worker = undefined;
        worker.on('error', () => undefined); // it may fail once more as it ends
        void worker.terminate(); // not awaited: it may hang in the kernel
        reject(error);
      };
      const ended = (): void => failed(new Error('the thread that reads lists has ended'));
      const timer = setTimeout(() => {
        const time = formatDuration(LISTS_ANSWER_MS_MAX);
        failed(new Error(`the thread that reads lists gave no answer within ${time}`));
      }, LISTS_ANSWER_MS_MAX).unref();
      worker.on('message', answered).on('error', failed).on('exit', ended);
      worker.postMessage(mail);
    });
  }
}

function unexpected(): Error {
  return new Error('the thread that reads lists gave another answer than was asked for');
}
