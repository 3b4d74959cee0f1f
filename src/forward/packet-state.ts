/**
 * What the steps of the pipeline hand to each other: the image, the packet at hand, what has been found out about it, and
 * the frame that is to be sent. One object a pipeline, made once: its fields are small integers, which V8 keeps without
 * allocating, and typed arrays.
 */
import { FLOW_WORDS } from '../hash/flow.js';
import type { Image } from '../image/read.js';
import { makeLimiter } from './budget.js';
import { COOKIE_WORDS } from './cookie.js';
import { type Lists, NO_LISTS } from './lists.js';
import { SynOptions } from './syn.js';

export class PacketState {
  image: Image;

  /** Coarse time that the budgets count in: the engine raises it every BUDGET_TICK_MS. An int32. */
  tick = 0;
  /** Time that rules of defence count in, which the engine sets once a batch: units of 2^20 ns. An int32. */
  now = 0;
  /** The fleet's clock, in ms; 0 while nobody has told it: a cookie of any other time would be refused. */
  fleetMs = 0;
  /** What rules of defence count in: the state that all pipelines of an engine share (guard-state.ts); by service counter, GUARDED_KINDS
   * each, what they did; SYNs that are not yet in the state, and the unit that they came in. */
  guardState: Int32Array = new Int32Array(0);
  guarded: Float64Array = new Float64Array(0);
  synsPending = new Int32Array(0);
  /** In which rules look sources up. */
  lists: Lists = NO_LISTS;
  /** What the node has left to answer with. */
  readonly limiter = makeLimiter();

  // The packet at hand. Offsets are into the view.
  /** Start of the frame. */
  frame = 0;
  /** Start of the IP header. */
  l3 = 0;
  /** End of the IP packet: link-layer padding is left out. */
  end = 0;
  /** 4 or 6. */
  family = 0;
  /** Start of the transport header of a whole TCP packet; 0 for any other. */
  tcp = 0;
  /** The VIP that it is for, as an index into the image's words. */
  vip = 0;
  /** The flow's input to the hash: the client's address (one or four raw words), then the ports. */
  readonly flow = new Int32Array(FLOW_WORDS);

  /** What a SYN offers, and whose its cookie is (cookie.ts). */
  readonly synOptions = new SynOptions();
  readonly cookieMessage = new Int32Array(COOKIE_WORDS);

  // The frame to be sent, after a verdict that forwards or answers.
  outStart = 0;
  outLength = 0;
  /** Length of its layer-2 header, for engines that send at layer 3. */
  outL2 = 0;

  // How it was decided, after a verdict that forwards; read by counters and by `anyhop which`.
  /** Index of the service into the image's words. */
  service = 0;
  serviceCounter = 0;
  hash = 0;
  slot = 0;
  /** By the former flow hash key, while that changes. */
  formerSlot = 0;
  /** Number of the backend in the image. */
  backend = 0;
  backendCounter = 0;
  /** The GRE key (second-chance-key.ts), an int32; 0: none. */
  key = 0;

  constructor(image: Image) {
    this.image = image;
  }
}
