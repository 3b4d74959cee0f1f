/** What sources say: complete answers, or why there is none. */
/** A backend, or a server of an upstream. */
export interface Found {
  readonly name: string;
  /** In its canonical form. */
  readonly address: string;
  /** Of a server. */
  readonly port?: number | undefined;
  /** Left out: as it is, or 1. */
  readonly weight?: number | undefined;
  /** It serves what it has, and is to get nothing new. */
  readonly draining?: boolean | undefined;
}

export interface Answer {
  readonly found: readonly Found[];
  /** When to ask again. */
  readonly againMs: number;
}

export interface Source {
  /** In words: `the file /etc/anyhop/web.yaml`. */
  readonly words: string;
  /** @returns all that there are @throws Error with the reason when that cannot be told; a part is no answer */
  ask(signal: AbortSignal): Promise<Answer>;
  /** Calls `changed` when it should be asked at once. @returns ends it */
  watch?(changed: () => void): () => void;
}

/** The same for the same one, in whatever order they came. */
export function identityOf({ name, address, port, weight, draining = false }: Found): string {
  return `${name} ${address} ${port ?? '-'} ${weight ?? '-'} ${draining}`;
}
