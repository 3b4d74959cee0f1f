/**
 * What client and servers say to each other, as lines of text, so that a wrong answer can be told from a right one:
 *
 *   server  web-3/5f1c09                  who accepted: the backend and the server's process
 *   client  k41-9e0d 1                    the connection's nonce, the message's number
 *   server  web-3/5f1c09 k41-9e0d 1       who, the nonce that this socket heard first, the messages that it has had
 *
 * The server repeats nothing of a message but its first nonce: an answer is right only if it comes from the socket that had
 * every message before it.
 */
const LINE_CHARS_MAX = 200;

/** The lines in what a socket receives, which comes in pieces. */
export class Lines {
  #rest = '';

  /** @throws Error at a line that is longer than any of ours */
  take(chunk: string): string[] {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop()!;
    if (this.#rest.length > LINE_CHARS_MAX) throw new Error('a line without an end');
    return lines;
  }
}

export function message(nonce: string, number: number): string {
  return `${nonce} ${number}\n`;
}

/** The nonce of a message. */
export function nonceOf(line: string): string {
  return line.split(' ', 1)[0]!;
}

export function greeting(server: string): string {
  return `${server}\n`;
}

/** `messages` is how many the server's socket has had, this one included. */
export function answer(server: string, nonce: string, messages: number): string {
  return `${server} ${nonce} ${messages}\n`;
}

/** The backend in the name that a server greets with. */
export function backendOf(server: string): string {
  return server.split('/', 1)[0]!;
}
