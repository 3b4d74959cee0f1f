/** `docs/reference/verdicts.md`: the outcomes of a packet, from the C headers by way of the generated layout. */
import { AGENT_VERDICTS, VERDICTS } from '#anyhop/core/layout.gen.js';
import { cell, code, page, table } from './markdown.js';

const HEAD = ['verdict', 'action', 'meaning'];

interface Verdict {
  readonly name: string;
  readonly action: string;
  readonly description: string;
}

export function verdictPage(): string {
  return page(
    'Verdicts',
    '`native/include/anyhop/verdict.h` and `agent.h`',
    'Every packet ends in exactly one verdict, and every verdict has a counter. The name is the same in `anyhop status`, `which`, ' +
      '`replay`, the control API and the log.',
    '## Of a forwarder',
    rows(VERDICTS),
    '## Of an agent',
    rows(AGENT_VERDICTS),
  );
}

function rows(verdicts: readonly Verdict[]): string {
  return table(
    HEAD,
    verdicts.map(({ name, action, description }) => [code(name), action, cell(description)]),
  );
}
