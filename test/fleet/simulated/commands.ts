/** What happens to a simulated fleet, as data, so that a list of it can be printed, repeated and made shorter. */
import fc from 'fast-check';
import { ACTIVE, INTENT } from '#anyhop/fleet/places.js';
import type { Host } from './host.js';
import type { Stall } from './link.js';
import type { World } from './world.js';

export type Command =
  | { readonly does: 'wait'; readonly ms: number }
  | { readonly does: 'apply'; readonly without: readonly number[]; readonly stall?: Stall | undefined }
  | { readonly does: 'kill operator'; readonly operator: number }
  | { readonly does: 'stand still'; readonly operator: number; readonly ms: number }
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
  'write active by hand',
  'write a revision by hand',
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
const STILL_MS = [500, 2_900, 4_000, 12_000];
const SLOW_MS = [0, 100, 3_000, 20_000, 60_000];

export function commands(hosts: number): fc.Arbitrary<Command[]> {
  const host = fc.nat(hosts - 1);
  const wait = fc.constantFrom(5, 50, 300, 1_000, 4_000, 12_000).map((ms) => ({ does: 'wait' as const, ms }));
  const apply = fc.record({
    does: fc.constant('apply' as const),
    without: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(host, { maxLength: 2 })),
    stall: fc.option(
      fc.record({ at: fc.constantFrom(INTENT, ACTIVE), ms: fc.constantFrom(...STILL_MS), all: fc.boolean() }),
      { nil: undefined, freq: 2 },
    ),
  });
  const operator = fc.nat(2);
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: wait },
      { weight: 5, arbitrary: apply },
      { weight: 1, arbitrary: fc.record({ does: fc.constant('kill operator' as const), operator }) },
      {
        weight: 1,
        arbitrary: fc.record({
          does: fc.constant('stand still' as const),
          operator,
          ms: fc.constantFrom(...STILL_MS),
        }),
      },
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
  // The same; one of them stands still between what it has read and what it writes.
  [
    { does: 'prepare slowly', host: 1, ms: 3_000 },
    { does: 'apply', without: [], stall: { at: INTENT, ms: 500, all: true } },
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
  // One operator begins upon what was in force before another one's change.
  [
    { does: 'apply', without: [], stall: { at: INTENT, ms: 2_900, all: false } },
    { does: 'apply', without: [] },
    { does: 'wait', ms: 4_000 },
  ],
  // It stands still just before it puts its change in force, until another one prepares one.
  [
    { does: 'apply', without: [], stall: { at: ACTIVE, ms: 20_000, all: true } },
    { does: 'wait', ms: 12_000 },
    { does: 'prepare slowly', host: 1, ms: 20_000 },
    { does: 'apply', without: [] },
    { does: 'wait', ms: 12_000 },
  ],
  // The same, and somebody writes what is in force, or a revision, without asking.
  ...(['write active by hand', 'write a revision by hand'] as const).map((does): readonly Command[] => [
    { does: 'apply', without: [] },
    { does: 'wait', ms: 4_000 },
    { does: 'apply', without: [], stall: { at: ACTIVE, ms: 2_900, all: true } },
    { does: 'wait', ms: 1_000 },
    { does },
    { does: 'wait', ms: 4_000 },
  ]),
  // What puts it in force arrives when its operator has given up.
  [
    { does: 'apply', without: [], stall: { at: ACTIVE, ms: 4_000, all: false } },
    { does: 'wait', ms: 12_000 },
  ],
  // The same, and its operator loses the store while it asks what has become of it.
  [
    { does: 'apply', without: [], stall: { at: ACTIVE, ms: 4_000, all: false, answered: 1 } },
    { does: 'wait', ms: 12_000 },
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
  const { clock, etcd, hosts, operators } = world;
  switch (command.does) {
    case 'wait':
      return clock.pass(command.ms, world.look);
    case 'apply':
      operators.apply(
        [...new Set(command.without)].map((index) => hosts[index]!.place),
        command.stall,
      );
      return;
    case 'kill operators':
      return operators.kill();
    case 'interrupt operators':
      for (const { abort } of operators.open) abort.abort();
      return;
    case 'cut operators':
    case 'join operators':
      for (const { link } of operators.open) link.isCut = command.does === 'cut operators';
      return;
    case 'kill operator':
      return operators.kill(operators.open.slice(command.operator, command.operator + 1));
    case 'stand still':
      for (const { link } of operators.open.slice(command.operator, command.operator + 1))
        link.stillUntilMs = clock.nowMs + command.ms;
      return;
    case 'save':
      return etcd.save();
    case 'restore':
      return world.restore();
    case 'write active by hand':
      return world.goBackByHand();
    case 'write a revision by hand':
      return world.writeRevisionByHand();
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
