/** Who is asked when somebody begins to watch, and what is told until all have answered. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { AskedNode } from '#anyhop/dashboard/asked-node.js';
import { Store } from '#anyhop/dashboard/page/store.js';
import { Source } from '#anyhop/dashboard/source.js';
import type { NodeCard, Update } from '#anyhop/dashboard/wire.js';
import { statusOf } from './fake-fleet.js';

const SIZE = { pools: 1, backendsPerPool: 3 };
const EVENTS = JSON.stringify({ since: '2024-01-01T00:00:00.000Z', events: [] });
const AWAY_MS = 60_000;

/** Something that watches, and every state of edge-2 that it was told. */
class Watching extends EventEmitter {
  readonly states: string[] = [];
  readonly #store = new Store();

  writeHead(): void {}

  write(text: string, done?: () => void): void {
    done?.();
    if (!text.startsWith('data: ')) return;
    this.#store.apply(JSON.parse(text.slice(6)) as Update);
    const state = this.#store.get<NodeCard>('node/edge-2')?.state;
    if (state !== undefined && state !== this.states.at(-1)) this.states.push(state);
  }

  end(): void {}
}

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

test('a sibling is called silent when it does not answer in time, not because nobody has looked for a while', async () => {
  mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.parse('2026-01-02T03:04:05Z') });
  let answer: (() => void) | undefined;
  const said = (name: string) => ({ status: JSON.stringify(statusOf(SIZE, 0, name)), events: EVENTS });
  const own = new AskedNode('edge-1', async () => said('edge-1'));
  const late = new AskedNode(
    'edge-2',
    () =>
      new Promise((resolve) => {
        answer = () => resolve(said('edge-2'));
      }),
  );
  const source = new Source('edge-1', own, [late]);
  const watch = async (): Promise<Watching> => {
    const one = new Watching();
    source.watch(one as unknown as ServerResponse);
    await settled();
    return one;
  };
  try {
    const first = await watch();
    answer!();
    await settled();
    assert.deepEqual(first.states, ['ready']);
    first.emit('close');
    mock.timers.tick(AWAY_MS);
    const again = await watch();
    answer!();
    await settled();
    assert.deepEqual(again.states, ['ready']);
    again.emit('close');
    mock.timers.tick(AWAY_MS);
    const hung = await watch();
    mock.timers.tick(1_000);
    await settled();
    assert.deepEqual(hung.states, ['ready', 'silent'], 'what was known, then what is');
  } finally {
    source.close();
    mock.timers.reset();
  }
});
