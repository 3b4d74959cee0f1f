/** A machine of a simulated fleet: its process, its disk, and what is wrong with them. */
import type { KeptRevision } from '#anyhop/config/fleet/kept.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { FleetMember } from '#anyhop/fleet/member.js';
import { digestOfText } from '#anyhop/fleet/record.js';
import type { MemberRole } from '#anyhop/fleet/said.js';
import type { FleetStore } from '#anyhop/fleet/store.js';
import { type Logged, recordingLog } from '../fleet.js';
import type { Link } from './link.js';
import { config, storeBy } from './setting.js';
import type { World } from './world.js';

export interface Process {
  readonly member: FleetMember;
  readonly store: FleetStore;
  readonly link: Link;
  readonly logged: Logged[];
  readonly startMs: number;
  /** In force in it; undefined until it serves. */
  text: string | undefined;
  number: number;
  /** Numbers of the revisions that it remembers though it never had them, since it kept one last. */
  recalled: readonly number[];
}

export class Host {
  readonly place: string;
  readonly role: MemberRole;
  readonly #world: World;
  process: Process | undefined;
  disk: KeptRevision | undefined;
  isCut = false;
  /** Siblings do not reach it, nor it them. */
  isAlone = false;
  /** When the way to the store changed last. */
  wayChangedMs = 0;
  loss = 0;
  prepareMs = 0;
  activateMs = 0;
  keepMs = 0;
  refuses = false;
  fails = false;
  /** How much it does that takes long. */
  busy = 0;

  constructor(world: World, role: MemberRole, name: string) {
    this.#world = world;
    this.role = role;
    this.place = `${role}/${name}`;
  }

  /** Why it is not sent traffic; undefined for a process that is. */
  get isReady(): boolean {
    const { process } = this;
    return process?.text !== undefined && process.member.behind === undefined;
  }

  start(): void {
    if (this.process !== undefined) return;
    const world = this.#world;
    const link = world.link(this);
    const logged: Logged[] = [];
    const log = recordingLog(logged);
    const store = storeBy(link, log);
    const kept = this.disk;
    const prepare = async (text: string) => {
      await this.#lasts(this.prepareMs);
      if (this.refuses) throw new AnyhopError('ERR_FLEET', 'the model refuses');
      return { digest: digestOfText(text), waits: [] };
    };
    const member = new FleetMember({
      fleet: config,
      role: this.role,
      name: this.place.split('/')[1]!,
      kept,
      keep: async (revision) => {
        if (this.process === process) world.keeps(this, process, revision);
        process.recalled = [];
        await this.#lasts(this.keepMs);
        if (this.process === process) this.disk = revision;
      },
      store,
      prepare: (_, { text }) => prepare(text),
      concerns: () => true,
      siblings: () => world.siblingsOf(this),
      log,
    });
    const process: Process = {
      member,
      store,
      link,
      logged,
      startMs: world.clock.nowMs,
      text: undefined,
      number: 0,
      recalled: [],
    };
    this.process = process;
    void member.first(3_000).then(({ number, text }) => {
      if (this.process !== process) return;
      this.#takes(process, number, text);
      member.serve({
        prepare: (_, { text }) => prepare(text),
        release: () => undefined,
        activate: async ({ number }, { text }) => {
          await this.#lasts(this.activateMs);
          if (this.fails) throw new AnyhopError('ERR_FLEET', 'the model fails');
          if (this.process === process) this.#takes(process, number, text);
        },
        recall: async (missed) => {
          process.recalled = missed.map(({ number }) => number);
        },
        standing: () => ({ ready: member.behind === undefined, reason: member.behind?.slice(0, 900) }),
      });
    });
  }

  async #lasts(ms: number): Promise<void> {
    this.busy++;
    await this.#world.clock.sleep(ms);
    this.busy--;
  }

  #takes(process: Process, number: number, text: string): void {
    process.number = number;
    process.text = text;
    this.#world.took(this, process, number, text);
  }

  kill(): void {
    const { process } = this;
    if (process === undefined) return;
    this.process = undefined;
    process.link.isDead = true;
    process.store.close();
    void process.member.close();
  }

  stop(): Promise<void> {
    const { process } = this;
    this.process = undefined;
    return process?.member.close() ?? Promise.resolve();
  }
}
