/** The part of npm `cap` 0.2.1 (libpcap) that is used; it ships no types. CommonJS: the default export alone. */
declare module 'cap' {
  import type { EventEmitter } from 'node:events';

  interface Cap extends EventEmitter {
    /**
     * Opens an interface in promiscuous mode, both directions, snap length 65535, and starts capturing.
     * @param filter in libpcap's language; '' is everything
     * @param bufferBytes of the kernel's ring
     * @param buffer that every packet is copied to, from its start, before `packet` is emitted
     * @returns the link type, `ETHERNET` for one
     * @throws Error with libpcap's message
     */
    open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
    /** Sends a whole frame. @throws Error with libpcap's message */
    send(frame: Buffer, length?: number): void;
    close(): boolean;
    /** `capturedBytes` lie at the start of the buffer; `truncated` when they did not fit it. */
    on(event: 'packet', listener: (capturedBytes: number, truncated: boolean) => void): this;
  }

  const cap: { readonly Cap: new () => Cap };

  export type { Cap };
  export default cap;
}
