/** The main thread's side of the worker: it starts with the first question of a round, and ends with the round, memory and all. */
import { Worker } from 'node:worker_threads';
import { LISTS_HEAP_MB_MAX } from '../core/limits.js';
import type { ListsInput } from './compile.js';
import type { ReadList } from './files.js';
import type { FromWorker, ToWorker } from './mail.js';

export class ListsCompiler {
  #worker: Worker | undefined;

  async read(paths: readonly string[]): Promise<readonly ReadList[]> {
    const answer = await this.#ask({ paths });
    if ('lists' in answer) return answer.lists;
    throw unexpected();
  }

  async compile(input: ListsInput): Promise<SharedArrayBuffer | undefined> {
    const answer = await this.#ask({ input });
    if ('memory' in answer) return answer.memory;
    throw unexpected();
  }

  async end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  /** One question at a time. @throws Error when the worker fails; the next question starts another */
  #ask(mail: ToWorker): Promise<FromWorker> {
    this.#worker ??= new Worker(new URL('./worker.js', import.meta.url), {
      name: 'lists',
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: LISTS_HEAP_MB_MAX },
    });
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      const done = (): void => {
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
        reject(error);
      };
      const ended = (): void => failed(new Error('the thread that reads lists has ended'));
      worker.on('message', answered).on('error', failed).on('exit', ended);
      worker.postMessage(mail);
    });
  }
}

function unexpected(): Error {
  return new Error('the thread that reads lists gave another answer than was asked for');
}
