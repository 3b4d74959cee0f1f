/** What the rules of a service say, in words, for `check` and for `defend status`. */
import { short } from '../../core/figures.js';
import { formatDuration } from '../../core/time.js';

interface Limit {
  readonly packets?: number | undefined;
  readonly syn?: number | undefined;
}

interface SourceLimit extends Limit {
  readonly perMs: number;
  readonly prefix4: number;
  readonly prefix6: number;
  readonly network?: Limit | undefined;
}

/** `an address (IPv6: a /64) may send 50k packets and 500 SYNs in 1s, all of a /24 (IPv6: /48) 500k packets` */
export function sourceRateText({ perMs, prefix4, prefix6, network, ...one }: SourceLimit): string {
  const four = prefix4 === 32 ? 'an address' : `a /${prefix4}`;
  const six = prefix6 === 128 ? 'an address' : `a /${prefix6}`;
  const source = four === six ? four : `${four} (IPv6: ${six})`;
  const limits = [
    ...(isLimit(one) ? [`${source} may send ${limitText(one)} in ${formatDuration(perMs)}`] : []),
    ...(network !== undefined && isLimit(network)
      ? [
          `all of a /24 (IPv6: /48) ${isLimit(one) ? '' : 'may send '}${limitText(network)}${isLimit(one) ? '' : ` in ${formatDuration(perMs)}`}`,
        ]
      : []),
  ];
  return limits.join(', ');
}

function isLimit({ packets, syn }: Limit): boolean {
  return packets !== undefined || syn !== undefined;
}

function limitText({ packets, syn }: Limit): string {
  return [
    ...(packets === undefined ? [] : [`${short(packets)} packets`]),
    ...(syn === undefined ? [] : [`${short(syn)} SYNs`]),
  ].join(' and ');
}

export function serviceRateText({ syn, perMs }: { readonly syn: number; readonly perMs: number }): string {
  return `${short(syn)} SYNs in ${formatDuration(perMs)} pass to the backends`;
}
