/**
 * A process that captures what the engine `xdp` forwards, for a test that runs it in a network namespace: capture-process.js INTERFACE BPFFS
 *
 * Takes one request at a time over the IPC channel and answers { value } or { error: { code, message } }. Once armed it reads all the time.
 */
import type { CaptureFilter, CaptureRecord, CaptureSource } from '#anyhop/capture/record.js';
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import { xdpCapture } from '#anyhop/engine/xdp/capture.js';

export type CaptureRequest =
  | { readonly ask: 'arm'; readonly filter: CaptureFilter }
  | { readonly ask: 'tally' | 'names' | 'close' };

export interface Tally {
  /** Records by verdict. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly generations: readonly number[];
  readonly lost: number;
  /** Whether the capture has ended by itself. */
  readonly isOver: boolean;
}

const READ_MS = 50;
const [interfaceName = '', bpffs = ''] = process.argv.slice(2);
const verdicts: Record<string, number> = {};
const generations = new Set<number>();
let source: CaptureSource | undefined;
let reading: Promise<void> = Promise.resolve();
let isOver = false;
let isClosing = false;

process.on('message', async (request: CaptureRequest) => {
  try {
    process.send!({ value: await answer(request) });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    process.send!({ error: { code, message } });
  }
});
process.on('disconnect', () => process.exit());

async function answer(request: CaptureRequest): Promise<unknown> {
  source ??= await xdpCapture({ interface: interfaceName, bpffs });
  if (request.ask === 'names') return source.names();
  if (request.ask === 'arm') {
    await source.arm(request.filter);
    reading = readAll(source);
  }
  if (request.ask === 'close') {
    isClosing = true;
    await reading;
    while (count(await source.read(0)));
    await source.close();
  }
  return { verdicts, generations: [...generations], lost: source.lost, isOver } satisfies Tally;
}

async function readAll(from: CaptureSource): Promise<void> {
  while (!isClosing) {
    const records = await from.read(READ_MS);
    if (records === undefined) isOver = true;
    if (records === undefined) return;
    count(records);
  }
}

/** @returns whether there was something */
function count(records: readonly CaptureRecord[] = []): boolean {
  for (const { verdict, generation } of records) {
    const { name } = VERDICTS[verdict];
    verdicts[name] = (verdicts[name] ?? 0) + 1;
    generations.add(generation);
  }
  return records.length > 0;
}
