/**
 * `haproxy -c` on a generation that is not in force yet: HAProxy's own judgement, by the user that HAProxy will run as, so that a
 * file which that user cannot read is found here and not at the reload. What HAProxy does not look at is in limits.ts.
 */
import {
  HAPROXY_CHECK_TIMEOUT_MS,
  HAPROXY_MESSAGE_CHARS_MAX,
  HAPROXY_OUTPUT_CHARS_MAX,
} from '../../core/limits.js';
import { printable } from '../../core/printable.js';
import { limitedTool, type RunTool } from '../../core/tool.js';
import { LOCAL_PEER } from '../render/rendering.js';
import type { Generation } from './generations.js';
import type { Identity } from './identity.js';
import { asUser } from './launch.js';
import { type HaproxyProblem, problemsIn, readMessages } from './problems.js';

const run = limitedTool({ timeoutMs: HAPROXY_CHECK_TIMEOUT_MS, outputCharsMax: HAPROXY_OUTPUT_CHARS_MAX });

/**
 * The errors and warnings of HAProxy; without an error, HAProxy accepts the generation.
 * @param program HAProxy: a name or an absolute path
 * @throws AnyhopError ERR_TOOL when HAProxy or setpriv is missing, or the check does not end in time
 */
export async function checkGeneration(
  generation: Generation,
  program: string,
  identity: Identity | undefined,
  runTool: RunTool = run,
): Promise<HaproxyProblem[]> {
  const { file, rendering } = generation;
  const command = asUser(identity, program, ['-c', '-L', LOCAL_PEER, '-f', file]);
  const { code, stdout, stderr } = await runTool(command.program, command.args);
  const problems = problemsIn(readMessages(stderr), file, rendering.lines);
  if (code === 0 || problems.some(({ level }) => level === 'error')) return problems;
  return [...problems, { level: 'error', at: [], message: lastWords(code, `${stdout}\n${stderr}`) }];
}

/** For a refusal without an error message: "no listener", or a failure of setpriv. */
function lastWords(code: number, output: string): string {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return printable(line === '' ? `HAProxy ended with exit code ${code}` : line, HAPROXY_MESSAGE_CHARS_MAX);
}
