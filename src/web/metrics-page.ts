/** `GET /metrics`: in the format that the scraper takes, made once for all who ask for the same sample. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { type ContentType, OPENMETRICS_TYPE, render, TEXT_TYPE } from '../metrics/render.js';
import type { MetricTable } from '../metrics/table.js';
import { say } from './answers.js';
import { NoSample, type Sample, type Samples } from './samples.js';

const compress = promisify(gzip);
/** Not worth the time that it takes. */
const COMPRESSED_BYTES_MIN = 1024;

export class MetricsPage {
  readonly #samples: Samples;
  readonly #own: (sample: Sample) => readonly MetricTable[];
  /** Answers by format, for as long as the sample is the latest. */
  readonly #made = new WeakMap<Sample, Map<string, Promise<Buffer>>>();

  /** @param own what the worker itself knows of the process */
  constructor(samples: Samples, own: (sample: Sample) => readonly MetricTable[]) {
    this.#samples = samples;
    this.#own = own;
  }

  async answer({ headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const type = takesOpenMetrics(headers.accept) ? OPENMETRICS_TYPE : TEXT_TYPE;
    const isZipped = takesGzip(headers['accept-encoding']);
    let body: Buffer;
    try {
      body = await this.#body(await this.#samples.now(), type, isZipped);
    } catch (error) {
      if (!(error instanceof NoSample)) throw error;
      say(response, 503, error.message);
      return;
    }
    const isCompressed = isZipped && isGzip(body);
    response.writeHead(200, {
      'content-type': type,
      'content-length': body.length,
      vary: 'accept, accept-encoding',
      ...(isCompressed && { 'content-encoding': 'gzip' }),
    });
    response.end(body);
  }

  #body(sample: Sample, type: ContentType, isZipped: boolean): Promise<Buffer> {
    const made = this.#made.get(sample) ?? new Map<string, Promise<Buffer>>();
    this.#made.set(sample, made);
    const key = `${type} ${isZipped}`;
    let body = made.get(key);
    if (body === undefined) {
      body = isZipped ? this.#zipped(sample, type) : this.#plain(sample, type);
      made.set(key, body);
    }
    return body;
  }

  async #plain(sample: Sample, type: ContentType): Promise<Buffer> {
    return Buffer.from(await render([...this.#own(sample), ...sample.tables], type));
  }

  async #zipped(sample: Sample, type: ContentType): Promise<Buffer> {
    const plain = await this.#body(sample, type, false);
    // The fastest level: ten times smaller already.
    return plain.length < COMPRESSED_BYTES_MIN ? plain : compress(plain, { level: constants.Z_BEST_SPEED });
  }
}

/** Whether the format is named with a quality of more than 0, and not less than that of plain text. */
function takesOpenMetrics(accept: string | undefined): boolean {
  const of = (name: string): number => quality(accept, name) ?? 0;
  const open = of('application/openmetrics-text');
  return open > 0 && open >= of('text/plain');
}

function takesGzip(encodings: string | undefined): boolean {
  return (quality(encodings, 'gzip') ?? 0) > 0;
}

/** Of a name in a header with qualities (RFC 9110, section 12.4.2), the greatest; undefined when it is not in there. */
function quality(header: string | undefined, name: string): number | undefined {
  const found = (header ?? '').split(',').flatMap((part) => {
    const [is, ...parameters] = part.split(';').map((each) => each.trim().toLowerCase());
    if (is !== name) return [];
    const q = parameters.find((each) => each.startsWith('q='));
    const value = q === undefined ? 1 : Number(q.slice(2));
    return Number.isNaN(value) ? 0 : value;
  });
  return found.length === 0 ? undefined : Math.max(...found);
}

/** Text never begins so. */
function isGzip(body: Buffer): boolean {
  return body[0] === 0x1f && body[1] === 0x8b;
}
