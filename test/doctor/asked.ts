/** A doctor in a namespace of the lab that is asked again and again (doctor-process.ts), and what it answers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { reportOf } from '#anyhop/cli/doctor.js';
import type { DoctorPlaceOptions } from '#anyhop/cli/doctor-places.js';
import { inNamespace } from '../../scripts/lab/command.js';

const PROCESS = fileURLToPath(new URL('./doctor-process.js', import.meta.url));

export type Report = ReturnType<typeof reportOf>;

export class AskedDoctor {
  readonly #child: ChildProcess;
  readonly #options: DoctorPlaceOptions;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, options: DoctorPlaceOptions) {
    this.#child = child;
    this.#options = options;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** It ends with its namespace, or with `close`. */
  static async start(namespace: string, options: DoctorPlaceOptions): Promise<AskedDoctor> {
    const [program = '', ...args] = inNamespace(namespace, [process.execPath, PROCESS]);
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const doctor = new AskedDoctor(child, options);
    await doctor.#line();
    return doctor;
  }

  async ask(more: Partial<DoctorPlaceOptions> = {}): Promise<Report> {
    this.#child.stdin!.write(`${JSON.stringify({ ...this.#options, ...more })}\n`);
    const answer = JSON.parse(await this.#line()) as Report | { error: string };
    if ('error' in answer) throw new Error(answer.error);
    return answer;
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the doctor has ended');
    return value;
  }

  close(): void {
    this.#child.stdin!.end();
  }
}
