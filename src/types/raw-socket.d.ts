/** The part of npm `raw-socket` 1.8.1 that is used; it ships no types. CommonJS: the default export alone. */
declare module 'raw-socket' {
  import type { EventEmitter } from 'node:events';

  interface Socket extends EventEmitter {
    /**
     * Queues one packet; `done` is called once the kernel has taken or refused it. The buffer must not change before.
     * @param address in text, of the socket's family
     */
    send(
      buffer: Buffer,
      offset: number,
      length: number,
      address: string,
      done: (error: Error | null, bytes: number) => void,
    ): this;
    /**
     * The native socket beneath, which sends and receives at once instead of by turns of the event loop; not documented, fixed
     * by the pinned version. Each calls `done` before it returns.
     * @throws Error with the kernel's reason, also when there is nothing to receive; `done` is then not called
     */
    readonly wrap: {
      recv(buffer: Buffer, done: (buffer: Buffer, bytes: number, source: string) => void): void;
      send(
        buffer: Buffer,
        offset: number,
        length: number,
        address: string,
        done: (bytes: number) => void,
      ): void;
    };
    pauseRecv(): this;
    getOption(level: number, option: number, out: Buffer, bytes: number): number;
    setOption(level: number, option: number, value: number): void;
    setOption(level: number, option: number, value: Buffer, bytes: number): void;
    close(): this;
    on(event: 'close', listener: () => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    on(event: 'message', listener: (buffer: Buffer, source: string) => void): this;
  }

  const raw: {
    /** @param options `protocol` 255 (IPPROTO_RAW) sends whole IP packets, of either family */
    createSocket(options: { addressFamily?: number; protocol?: number; bufferSize?: number }): Socket;
    readonly AddressFamily: { readonly IPv4: number; readonly IPv6: number };
    readonly SocketLevel: {
      readonly SOL_SOCKET: number;
      readonly IPPROTO_IP: number;
      readonly IPPROTO_IPV6: number;
    };
    readonly SocketOption: {
      readonly SO_SNDBUF: number;
      readonly SO_RCVBUF: number;
      readonly IP_HDRINCL: number;
    };
  };

  export type { Socket };
  export default raw;
}
