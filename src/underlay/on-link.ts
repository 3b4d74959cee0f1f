/** What is on the links of this host, by its routes: addresses that may be another machine's. */
import { AnyhopError } from '../core/errors.js';
import { type RunTool, requireTool } from '../core/tool.js';
import { runTool } from '../ffi/tool.js';
import { type IpPrefix, parseAddress, prefixesOverlap } from '../packet/address.js';

const ARGS = ['-4', '-json', 'route', 'show', 'table', 'all', 'type', 'unicast', 'scope', 'link'];

/**
 * A prefix that GRE leaves from must belong to nobody. What addresses of this host say of it the config's rules know
 * (src/config/rules/on-link.ts); here are routes without an address.
 * @throws AnyhopError ERR_ROUTE when one of them covers a part of it; ERR_TOOL
 */
export async function requireOffLink(prefix: IpPrefix | undefined, run: RunTool = runTool): Promise<void> {
  if (prefix?.address.family !== 4 || prefix.length === 32) return;
  const routes: { dst: string; dev: string }[] = JSON.parse((await requireTool(run, 'ip', ARGS)) || '[]');
  for (const { dst, dev } of routes) {
    const [text = '', length = '32'] = dst.split('/');
    const address = parseAddress(text); // none of `default`
    if (address === undefined) continue;
    if (!prefixesOverlap(prefix, { address, length: Number(length), text: dst })) continue;
    throw new AnyhopError(
      'ERR_ROUTE',
      `node.source ${prefix.text} overlaps ${dst}, which is on the link ${dev}`,
      {
        hint: `Expected a prefix that belongs to nobody and is routed to this host, or one address. See: ip route show ${dst}`,
      },
    );
  }
}
