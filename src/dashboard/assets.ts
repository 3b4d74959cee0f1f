/**
 * The files of the page: read once at the start, compressed once, and known by their digest, so that a browser that comes again gets 304.
 * The page is made of ES modules as the compiler writes them, without a bundler: their addresses are their places in dist/. Only modules
 * that page/main.js imports, directly or not, are files of the page; nothing else of the program can be asked for.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAIN = '/dashboard/page/main.js';
const IMPORT = /(?:^|\n)\s*(?:import|export)[^'"\n]*?(?:from\s*)?['"](\.[^'"]+)['"]/g;
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Everything that the page needs comes from here. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly zipped: Buffer;
  readonly etag: string;
}

export class Assets {
  readonly #assets = new Map<string, Asset>();

  /** @throws Error of the system when the program is not complete */
  constructor(root: string = ROOT) {
    const modules = modulesOf(root, MAIN);
    for (const [path, text] of modules) this.#add(path, text);
    const read = (name: string): string => readFileSync(`${root}/dashboard/page/${name}`, 'utf8');
    this.#add('/page.css', read('page.css'));
    this.#add('/icon.svg', read('icon.svg'));
    // All at once, not import by import.
    const preloads = [...modules.keys()].map((path) => `<link rel="modulepreload" href="${path}">`).join('');
    this.#add('/', read('page.html').replace('</head>', `${preloads}</head>`), 'html');
  }

  /** Whether the path is one of the page's, and so was answered. */
  answer(path: string, request: IncomingMessage, response: ServerResponse): boolean {
    const asset = this.#assets.get(path);
    if (asset === undefined) return false;
    const headers = {
      'content-security-policy': POLICY,
      'content-type': asset.type,
      'cache-control': 'no-cache',
      etag: asset.etag,
      vary: 'accept-encoding',
    };
    if (request.headers['if-none-match'] === asset.etag) {
      response.writeHead(304, headers).end();
      return true;
    }
    const isZipped = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
    const body = isZipped ? asset.zipped : asset.plain;
    response.writeHead(200, {
      ...headers,
      ...(isZipped && { 'content-encoding': 'gzip' }),
      'content-length': body.length,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    return true;
  }

  #add(path: string, text: string, type = path.slice(path.lastIndexOf('.') + 1)): void {
    const plain = Buffer.from(text);
    const etag = `"${createHash('sha256').update(plain).digest('hex').slice(0, 32)}"`;
    this.#assets.set(path, { type: TYPES[type], plain, zipped: gzipSync(plain), etag });
  }
}

/** A module and all that it imports, by their addresses, the module first. */
function modulesOf(root: string, main: string): Map<string, string> {
  const found = new Map<string, string>();
  const open = [main];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue;
    const text = readFileSync(root + path, 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
    found.set(path, text);
    for (const [, to] of text.matchAll(IMPORT)) open.push(posix.join(posix.dirname(path), to));
  }
  return found;
}
