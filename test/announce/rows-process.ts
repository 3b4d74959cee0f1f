/**
 * A program that works on a routing table of its network namespace: lines of JSON on standard input, one answer for each on standard output.
 *
 *     {"do": "read"}                                     -> [["192.0.2.1", 100], ...]
 *     {"do": "want", "rows": [["192.0.2.1", 100], ...]}  -> {"changes": 1, "refused": [["192.0.2.1", 100, taken, reason]], "ms": 1.5}
 *     {"do": "change", "changes": [["add", "192.0.2.1", 100], ...]}  -> the same
 *
 * All answer {"error": code, "message": text} when they fail. argv[2] is the table.
 */
import { createInterface } from 'node:readline';
import { changeRows, planRows, type RowChange, readRows } from '#anyhop/announce/rows.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { parseAddress } from '#anyhop/packet/address.js';

export type RowText = [vip: string, metric: number];
export type ChangeText = [what: RowChange['what'], vip: string, metric: number];

type Order =
  | { readonly do: 'read' }
  | { readonly do: 'want'; readonly rows: readonly RowText[] }
  | { readonly do: 'change'; readonly changes: readonly ChangeText[] };

const table = Number(process.argv[2]);

function follow(order: Order): unknown {
  const begun = performance.now();
  if (order.do === 'read') return readRows(table).map(({ vip, metric }) => [vip.text, metric]);
  const changes =
    order.do === 'want'
      ? planRows(
          order.rows.map(([vip, metric]) => ({ vip: parseAddress(vip)!, metric })),
          readRows(table),
        )
      : order.changes.map(([what, vip, metric]) => ({ what, vip: parseAddress(vip)!, metric }));
  const refused = changeRows(table, changes);
  return {
    changes: changes.length,
    refused: refused.map(({ change, taken, reason }) => [change.vip.text, change.metric, taken, reason]),
    ms: performance.now() - begun,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer: unknown;
  try {
    answer = follow(JSON.parse(line) as Order);
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    answer = { error: error.code, message: error.message };
  }
  console.log(JSON.stringify(answer));
}
