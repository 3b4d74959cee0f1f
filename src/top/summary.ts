/** The lines above the table: whether all is well, how much goes through, and what is wrong. */
import { lasting, short } from '../core/figures.js';
import { clockTime } from '../core/time.js';
import type { FleetView } from '../view/fleet.js';
import type { Trouble } from '../view/troubles.js';
import type { Line, Span } from './style.js';

/** Who is looked at; on the left of the first line. */
export function whoLine({ summary, nodes }: FleetView): Span[] {
  const { staleMs } = summary;
  if (staleMs !== undefined)
    return [
      { text: ` NO ANSWER for ${lasting(staleMs)}: this is the last picture `, style: 'reverse' },
      { text: ` ${nodes[0]?.reasons[0] ?? ''}`, style: 'bad' },
    ];
  if (nodes.length === 1) {
    const [{ name, state, detail }] = nodes;
    const about =
      detail === undefined
        ? ''
        : `  ${detail.engine} (${detail.mode}) on ${detail.interface}, up ${lasting(detail.upMs ?? 0)}`;
    return [
      { text: name, style: 'bold' },
      { text: '  ' },
      state === 'ready' ? { text: 'ready', style: 'good' } : { text: 'NOT READY', style: 'bad' },
      { text: about },
    ];
  }
  const { total, answering, ready } = summary.nodes;
  return [
    { text: `${total} nodes`, style: 'bold' },
    { text: '  ' },
    { text: `${ready} ready`, style: ready === total ? 'good' : 'bad' },
    ...(answering < total ? [{ text: `  ${total - answering} SILENT`, style: 'bad' as const }] : []),
  ];
}

export function clockSpan(view: FleetView, isPaused: boolean): Span {
  const time = clockTime(new Date(view.at).toISOString(), new Date(view.at));
  return isPaused ? { text: `PAUSED ${time}`, style: 'reverse' } : { text: time, style: 'dim' };
}

export function trafficLine({ summary }: FleetView): Line {
  const { forward, answer, pass, drop } = summary.packetsPerSecond;
  return [
    { text: 'packets/s  ', style: 'dim' },
    { text: `${short(forward)} forwarded`, style: 'bold' },
    { text: `  ${short(answer)} answered  ` },
    { text: `${short(drop)} dropped`, ...(drop > 0 && { style: 'warn' }) },
    { text: `  ${short(pass)} passed  ` },
    { text: `${short(summary.bytesPerSecond * 8)}bit/s`, style: 'bold' },
  ];
}

export function countsLine({ summary }: FleetView): Line {
  const { services, backends, changesWaiting } = summary;
  return [
    { text: 'services   ', style: 'dim' },
    {
      text: `${services.ready}/${services.total} ready`,
      style: services.ready < services.total ? 'bad' : undefined,
    },
    { text: '  backends ', style: 'dim' },
    { text: `${backends.up}/${backends.total} up` },
    ...(backends.down > 0 ? [{ text: `  ${backends.down} DOWN`, style: 'bad' as const }] : []),
    ...(backends.draining > 0 ? [{ text: `  ${backends.draining} draining`, style: 'note' as const }] : []),
    ...(changesWaiting > 0
      ? [
          {
            text: `  ${changesWaiting} ${changesWaiting === 1 ? 'change waits' : 'changes wait'}`,
            style: 'note' as const,
          },
        ]
      : []),
  ];
}

/** For readers without colours. */
export const SIGNS: Readonly<Record<Trouble['level'], string>> = { bad: '!! ', warn: '!  ', note: '-  ' };

/** @param most lines; one at least */
export function troubleLines({ troubles, summary }: FleetView, most: number): Line[] {
  if (troubles.length === 0)
    return summary.staleMs === undefined ? [[{ text: 'nothing is wrong', style: 'good' }]] : [];
  const shown = troubles.length <= most ? troubles : troubles.slice(0, Math.max(1, most - 1));
  const more = troubles.length - shown.length;
  return [
    ...shown.map(({ level, text }): Line => [{ text: SIGNS[level] + text, style: level }]),
    ...(more > 0 && most > 1 ? [[{ text: `   and ${more} more`, style: 'dim' as const }]] : []),
  ];
}
