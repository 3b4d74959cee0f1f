/** What happens to a simulated fleet, as data, so that a list of it can be printed, repeated and made shorter. */
import fc from 'fast-check';
import type { Host, World } from './world.js';

export type Command =
  | { readonly does: 'wait'; readonly ms: number }
  | { readonly does: 'apply'; readonly without: readonly number[] }
  | { readonly does: (typeof PLAIN)[number] }
  | { readonly does: (typeof OF_HOST)[number]; readonly host: number }
  | { readonly does: (typeof SLOW)[number]; readonly host: number; readonly ms: number };

const PLAIN = [
  'kill operators',
  'interrupt operators',
  'cut operators',
  'join operators',
  'save',
  'restore',
  'store down',
  'store up',
] as const;
const OF_HOST = [
  'kill',
  'stop',
  'start',
  'cut',
  'lose',
  'join',
  'leave',
  'refuse',
  'accept',
  'fail',
  'work',
  'silence',
  'expire',
] as const;
const SLOW = ['prepare slowly', 'activate slowly', 'keep slowly'] as const;
const SLOW_MS = [0, 100, 3_000, 20_000, 60_000];

export function commands(hosts: number): fc.Arbitrary<Command[]> {
  const host = fc.nat(hosts - 1);
  const wait = fc.constantFrom(5, 50, 300, 1_000, 4_000, 12_000).map((ms) => ({ does: 'wait' as const, ms }));
  const apply = fc.record({
    does: fc.constant('apply' as const),
    without: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(host, { maxLength: 2 })),
  });
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: wait },
      { weight: 5, arbitrary: apply },
      { weight: 2, arbitrary: fc.record({ does: fc.constantFrom(...PLAIN) }) },
      { weight: 6, arbitrary: fc.record({ does: fc.constantFrom(...OF_HOST), host }) },
      {
        weight: 2,
        arbitrary: fc.record({ does: fc.constantFrom(...SLOW), host, ms: fc.constantFrom(...SLOW_MS) }),
      },
    ),
    { minLength: 1, maxLength: 20 },
  );
}

/** What chance finds seldom: each of these breaks a law when what holds it is taken away. Host 1 is a forwarder. */
export const DEEP: readonly (readonly Command[])[] = [
  // Two operators at once.
  [
    { does: 'apply', without: [] },
    { does: 'apply', without: [] },
    { does: 'wait', ms: 12_000 },
  ],
  // One operator is cut off for so long that another one comes in between.
  [
    { does: 'prepare slowly', host: 1, ms: 20_000 },
    { does: 'apply', without: [] },
    { does: 'wait', ms: 1_000 },
    { does: 'cut operators' },
    { does: 'wait', ms: 12_000 },
    { does: 'apply', without: [] },
    { does: 'join operators' },
    { does: 'wait', ms: 35_000 },
  ],
  // It hangs on its way to the head.
  [
    { does: 'activate slowly', host: 1, ms: 60_000 },
    { does: 'apply', without: [] },
    { does: 'wait', ms: 1_000 },
  ],
  // It misses a change without the store.
  [
    { does: 'cut', host: 1 },
    { does: 'apply', without: [1] },
    { does: 'wait', ms: 12_000 },
  ],
  // It misses a change that the store forgets.
  [
    { does: 'save' },
    { does: 'cut', host: 1 },
    { does: 'leave', host: 1 },
    { does: 'apply', without: [1] },
    { does: 'wait', ms: 4_000 },
    { does: 'restore' },
    { does: 'join', host: 1 },
  ],
  // It has one that the store has forgotten, and misses the one that gets the same number.
  [
    { does: 'save' },
    { does: 'apply', without: [0, 2] },
    { does: 'wait', ms: 4_000 },
    { does: 'cut', host: 1 },
    { does: 'leave', host: 1 },
    { does: 'wait', ms: 12_000 },
    { does: 'restore' },
    { does: 'apply', without: [1] },
    { does: 'wait', ms: 4_000 },
    { does: 'join', host: 1 },
  ],
  // It is killed while it keeps what it has just begun to serve by, and begins again without the store.
  [
    { does: 'keep slowly', host: 1, ms: 20_000 },
    { does: 'apply', without: [] },
    { does: 'wait', ms: 4_000 },
    { does: 'kill', host: 1 },
    { does: 'store down' },
    { does: 'start', host: 1 },
    { does: 'wait', ms: 12_000 },
  ],
];

export async function run(world: World, command: Command): Promise<void> {
  const { clock, etcd, hosts } = world;
  switch (command.does) {
    case 'wait':
      return clock.pass(command.ms, world.look);
    case 'apply':
      world.apply([...new Set(command.without)].map((index) => hosts[index]!.place));
      return;
    case 'kill operators':
      return world.killOperators();
    case 'interrupt operators':
      for (const { abort } of world.operators) abort.abort();
      return;
    case 'cut operators':
    case 'join operators':
      for (const { link } of world.operators) link.isCut = command.does === 'cut operators';
      return;
    case 'save':
      return etcd.save();
    case 'restore':
      return world.restore();
    case 'store down':
      etcd.stop();
      return;
    case 'store up':
      return etcd.start();
    default:
      ofHost(world, hosts[command.host]!, command);
  }
}

function ofHost(world: World, host: Host, command: Extract<Command, { host: number }>): void | Promise<void> {
  switch (command.does) {
    case 'kill':
      return host.kill();
    case 'stop':
      void host.stop();
      return;
    case 'start':
      return host.start();
    case 'cut':
    case 'lose':
    case 'join':
      host.wayChangedMs = world.clock.nowMs;
      host.isAlone = false;
      host.isCut = command.does === 'cut';
      host.loss = command.does === 'lose' ? 0.3 : 0;
      if (host.process !== undefined)
        Object.assign(host.process.link, { isCut: host.isCut, loss: host.loss, isSilent: false });
      return;
    case 'leave':
      host.isAlone = true;
      return;
    case 'refuse':
    case 'accept':
      host.refuses = command.does === 'refuse';
      return;
    case 'fail':
    case 'work':
      host.fails = command.does === 'fail';
      return;
    case 'silence':
      if (host.process !== undefined) host.process.link.isSilent = true;
      return;
    case 'expire':
      return world.etcd.forgetLeases(`nodes/${host.place}`);
    case 'prepare slowly':
      host.prepareMs = command.ms;
      return;
    case 'activate slowly':
      host.activateMs = command.ms;
      return;
    case 'keep slowly':
      host.keepMs = command.ms;
      return;
  }
}
