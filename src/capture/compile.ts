/**
 * From an expression to what decides: a filter for the source (narrow.ts), and exactly the expression for each record that comes. Names become
 * numbers here, by what the node or its pinned image says; an unknown name is an error with the nearest one.
 */
import { quote } from '../config/path.js';
import { AnyhopError } from '../core/errors.js';
import { AGENT_VERDICTS, VERDICTS } from '../core/layout.gen.js';
import { addressFromBytes, type IpPrefix, parseAddress, parsePrefix } from '../packet/address.js';
import { P } from '../packet/constants.js';
import {
  type Expression,
  filterError,
  PROTOCOL_WORDS,
  suggestion,
  type Term,
  type Value,
} from './expression.js';
import type { PacketFields } from './fields.js';
import { agrees } from './filter-match.js';
import { both, either, type Narrow } from './narrow.js';
import { type CaptureNames, type CapturePoint, type CaptureRecord, UNKNOWN } from './record.js';

/** @param fields of `record.inBytes` */
export type Decide = (record: CaptureRecord, fields: PacketFields) => boolean;

export interface Compiled {
  readonly narrow: Narrow;
  readonly decide: Decide;
  /** What is most likely not meant, in sentences. */
  readonly warnings: readonly string[];
}

export function verdictsOf(
  point: CapturePoint,
): readonly { readonly name: string; readonly action: string; readonly description: string }[] {
  return point === 'agent' ? AGENT_VERDICTS : VERDICTS;
}

/**
 * @param expression undefined takes every packet
 * @throws AnyhopError ERR_USAGE with the column
 */
export function compile(
  expression: Expression | undefined,
  names: CaptureNames,
  point: CapturePoint,
): Compiled {
  if (expression === undefined) return { narrow: {}, decide: () => true, warnings: [] };
  const compiler = new Compiler(names, point);
  const { narrow, decide } = compiler.compile(expression, true);
  if (narrow.verdicts?.length === 0)
    throw new AnyhopError('ERR_USAGE', 'filter: no packet can match', {
      hint: 'No verdict is left. Only packets that are forwarded have a backend; "or" may be meant.',
    });
  return { narrow, decide, warnings: compiler.warnings };
}

interface Part {
  readonly narrow: Narrow;
  readonly decide: Decide;
}

class Compiler {
  readonly warnings: string[] = [];
  readonly #names: CaptureNames;
  readonly #point: CapturePoint;
  readonly #verdicts: readonly { readonly name: string; readonly action: string }[];

  constructor(names: CaptureNames, point: CapturePoint) {
    this.#names = names;
    this.#point = point;
    this.#verdicts = verdictsOf(point);
  }

  /** @param wanted false for its opposite */
  compile(expression: Expression, wanted: boolean): Part {
    if (expression.kind === 'not') return this.compile(expression.part, !wanted);
    if (expression.kind === 'term') return wanted ? this.#term(expression) : this.#opposite(expression);
    const parts = expression.parts.map((part) => this.compile(part, wanted));
    const decides = parts.map(({ decide }) => decide);
    const narrows = parts.map(({ narrow }) => narrow);
    // De Morgan.
    return (expression.kind === 'and') === wanted
      ? {
          narrow: narrows.reduce(both),
          decide: (record, fields) => decides.every((decide) => decide(record, fields)),
        }
      : {
          narrow: narrows.reduce(either),
          decide: (record, fields) => decides.some((decide) => decide(record, fields)),
        };
  }

  #opposite(term: Term): Part {
    const { narrow, decide } = this.#term(term);
    const others = [...this.#verdicts.keys()].filter((each) => !narrow.verdicts?.includes(each));
    return {
      // Of a verdict alone the opposite is known: a backend, say, is implied by more than its verdicts.
      narrow: term.field === 'verdict' ? { verdicts: others } : {},
      decide: (record, fields) => !decide(record, fields),
    };
  }

  #term({ field, values }: Term): Part {
    const parts = values.map((value) => this.#value(field, value));
    if (parts.length === 1) return parts[0];
    return {
      narrow: parts.map(({ narrow }) => narrow).reduce(either),
      decide: (record, fields) => parts.some(({ decide }) => decide(record, fields)),
    };
  }

  #value(field: Term['field'], value: Value): Part {
    switch (field) {
      case 'vip':
        return this.#vip(value);
      case 'client':
        return this.#client(value);
      case 'port':
      case 'client_port':
        return this.#port(field, value);
      case 'protocol':
        return this.#protocol(value);
      case 'service':
        return this.#service(value);
      case 'pool':
        return this.#pool(value);
      case 'backend':
        return this.#backend(value);
      case 'verdict':
        return this.#verdict(value);
    }
  }

  #vip({ text, column }: Value): Part {
    const vip = parseAddress(text);
    if (vip === undefined)
      throw filterError(
        column,
        `expected an address, found ${quote(text)}`,
        'Such as vip 203.0.113.10, or vip 2001:db8::10.',
      );
    const known = [...new Set(this.#names.services.map((service) => service.vip))];
    if (known.length > 0 && !known.includes(vip.text))
      this.warnings.push(`${vip.text} is no VIP here. ${suggestion(vip.text, known)}`);
    return {
      narrow: { vip },
      decide: (_, fields) =>
        fields.family === vip.family &&
        agrees(fields.bytes, fields.destination, vip.bytes, vip.bytes.length * 8),
    };
  }

  #client({ text, column }: Value): Part {
    const prefix = clientPrefix(text);
    if (prefix === undefined)
      throw filterError(
        column,
        `expected an address or a prefix, found ${quote(text)}`,
        'Such as client 198.51.100.7, or client 198.51.100.0/24.',
      );
    const { address, length: bits } = prefix;
    return {
      narrow: { client: { address, bits } },
      decide: (_, fields) =>
        fields.family === address.family && agrees(fields.bytes, fields.source, address.bytes, bits),
    };
  }

  #port(field: 'port' | 'client_port', { text, column }: Value): Part {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (from === undefined || last > 65535 || first > last)
      throw filterError(
        column,
        `expected a port or a range of ports, found ${quote(text)}`,
        `Such as ${field} 443, or ${field} 8000-8100.`,
      );
    const key = field === 'port' ? 'servicePort' : 'clientPort';
    const at = field === 'port' ? 'destinationPort' : 'sourcePort';
    return {
      narrow: first === last ? { [key]: first } : {},
      decide: (_, fields) => fields[at] >= first && fields[at] <= last,
    };
  }

  #protocol({ text, column }: Value): Part {
    const number = /^\d{1,3}$/.test(text) ? Number(text) : PROTOCOLS.get(text);
    if (number === undefined || number > 255)
      throw filterError(column, `no protocol ${quote(text)}`, suggestion(text, PROTOCOL_WORDS));
    if (text === 'icmp')
      return {
        narrow: {},
        decide: (_, { family, protocol }) =>
          protocol === (family === 6 ? P.PROTOCOL_ICMPV6 : P.PROTOCOL_ICMP),
      };
    return { narrow: { protocol: number }, decide: (_, fields) => fields.protocol === number };
  }

  /**
   * What the program found, for a packet that got so far (an ICMP error belongs to the service of the flow that it quotes); for the others what
   * their addresses and ports say.
   */
  #service({ text, column }: Value): Part {
    const { services } = this.#names;
    const found = services.filter(({ name }) => name === text);
    if (found.length === 0)
      throw filterError(
        column,
        `no service ${quote(text)}`,
        suggestion(
          text,
          services.map(({ name }) => name),
        ),
      );
    const parts = found.map(({ number, vip, protocol, portFirst, portLast }): Part => {
      const address = parseAddress(vip)!;
      const ip = PROTOCOLS.get(protocol);
      return {
        narrow: { vip: address },
        decide: (record, fields) =>
          record.service !== UNKNOWN
            ? record.service === number
            : fields.protocol === ip &&
              fields.destinationPort >= portFirst &&
              fields.destinationPort <= portLast &&
              fields.family === address.family &&
              agrees(fields.bytes, fields.destination, address.bytes, address.bytes.length * 8),
      };
    });
    return anyOf(parts);
  }

  /** Those of its services. */
  #pool({ text, column }: Value): Part {
    const { services, backends } = this.#names;
    const pools = [...new Set([...services, ...backends].map(({ pool }) => pool))];
    if (!pools.includes(text)) throw filterError(column, `no pool ${quote(text)}`, suggestion(text, pools));
    const members = new Set(backends.filter(({ pool }) => pool === text).map(({ number }) => number));
    const own = services
      .filter(({ pool }) => pool === text)
      .map(({ name }) => this.#service({ text: name, column }));
    const decides = own.map(({ decide }) => decide);
    return {
      narrow: own.length === 0 ? {} : own.map(({ narrow }) => narrow).reduce(either),
      decide: (record, fields) =>
        record.backend !== UNKNOWN
          ? members.has(record.backend)
          : decides.some((decide) => decide(record, fields)),
    };
  }

  #backend({ text, column }: Value): Part {
    const { backends } = this.#names;
    if (this.#point === 'agent')
      throw filterError(column, 'an agent takes packets for its own host alone', 'Leave backend away.');
    const found = backends.filter(({ pool, name }) => name === text || `${pool}/${name}` === text);
    if (found.length === 0)
      throw filterError(column, `no backend ${quote(text)}`, suggestion(text, backendWords(backends, text)));
    const forwarded = [...this.#verdicts.keys()].filter((each) => this.#verdicts[each].action === 'forward');
    return anyOf(
      found.map(({ number }) => ({
        narrow: { backend: number, verdicts: forwarded },
        decide: (record) => record.backend === number,
      })),
    );
  }

  #verdict({ text, column }: Value): Part {
    const known = this.#verdicts.map(({ name }) => name);
    const verdicts = [...known.keys()].filter((each) => isLike(known[each], text));
    if (verdicts.length === 0)
      throw filterError(
        column,
        `no verdict ${quote(text)}`,
        text.includes('*') ? `There are ${known.join(', ')}.` : suggestion(text, known),
      );
    const wanted = new Set(verdicts);
    return { narrow: { verdicts }, decide: (record) => wanted.has(record.verdict) };
  }
}

const PROTOCOLS = new Map<string, number>([
  ['tcp', P.PROTOCOL_TCP],
  ['udp', P.PROTOCOL_UDP],
  ['icmp', P.PROTOCOL_ICMP],
]);

function anyOf(parts: readonly Part[]): Part {
  if (parts.length === 1) return parts[0];
  return {
    narrow: parts.map(({ narrow }) => narrow).reduce(either),
    decide: (record, fields) => parts.some(({ decide }) => decide(record, fields)),
  };
}

/** Host bits may be set: who sees 198.51.100.7/24 knows what is meant. */
function clientPrefix(text: string): IpPrefix | undefined {
  const [head, length] = text.split('/');
  const address = parseAddress(head);
  if (address === undefined || length === undefined || !/^\d{1,3}$/.test(length)) return parsePrefix(text);
  const bits = Number(length);
  if (bits > address.bytes.length * 8) return undefined;
  const masked = address.bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))));
  return parsePrefix(`${addressFromBytes(masked).text}/${bits}`);
}

function backendWords(backends: CaptureNames['backends'], text: string): string[] {
  return [...new Set(backends.map(({ pool, name }) => (text.includes('/') ? `${pool}/${name}` : name)))];
}

/** Whether a name is like a pattern in which `*` stands for any characters: what is between stars is found from left to right. */
function isLike(name: string, pattern: string): boolean {
  const [head, ...rest] = pattern.split('*');
  if (rest.length === 0) return name === pattern;
  const tail = rest.pop()!;
  if (!name.startsWith(head) || !name.endsWith(tail) || name.length < head.length + tail.length) return false;
  let at = head.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - tail.length;
}
