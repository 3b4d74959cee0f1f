/** The listener's worker: one server, as the main thread says, until that says that it is over. */
import { parentPort, workerData } from 'node:worker_threads';
import { say } from './answers.js';
import type { FromWorker, ListenerSetup, ToWorker } from './mail.js';
import { MetricsPage } from './metrics-page.js';
import { ownProcess } from './own-process.js';
import type { Mount, Pages } from './pages.js';
import { NoSample, Samples } from './samples.js';
import { WebServer } from './server.js';

const port = parentPort!;
const tell = (mail: FromWorker): void => port.postMessage(mail);
const log = (level: 'info' | 'warn' | 'error', fields: object, text: string): void =>
  tell({ kind: 'log', level, fields, text } as FromWorker);

const samples = new Samples((id) => tell({ kind: 'ask', id }));
const metrics = new MetricsPage(samples, ownProcess);

let running: { readonly server: WebServer; readonly pages: Pages | undefined } | undefined;
/** Setups wait for one another. */
let last = Promise.resolve();

async function use(setup: ListenerSetup | undefined): Promise<void> {
  running?.pages?.close();
  await running?.server.close();
  running = undefined;
  if (setup === undefined) return;
  const pages = await mounted(setup);
  const server = new WebServer({
    setup,
    pages,
    log,
    metrics: (request, response) => metrics.answer(request, response),
    healthy: async (response) => {
      try {
        await samples.now();
        say(response, 200, 'the process answers');
      } catch (error) {
        if (!(error instanceof NoSample)) throw error;
        say(response, 503, error.message);
      }
    },
    listening: (on) => tell({ kind: 'listening', port: on }),
  });
  running = { server, pages };
}

async function mounted({ pages, tls, login }: ListenerSetup): Promise<Pages | undefined> {
  if (pages === undefined) return undefined;
  const { mount } = (await import(pages.module)) as { mount: Mount };
  return mount({ data: pages.data, tls, login, log });
}

port.on('message', (mail: ToWorker) => {
  if (mail.kind === 'sample') samples.take(mail.id, mail.sample);
  else if (mail.kind === 'no sample') samples.take(mail.id, mail.why);
  else if (mail.kind === 'setup') last = last.then(() => use(mail.setup));
  else last = last.then(() => use(undefined)).then(() => port.close());
});
last = use(workerData as ListenerSetup);
