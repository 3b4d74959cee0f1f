/** What sources say: complete answers, or why there is none. */
export interface FoundBackend {
  readonly name: string;
  /** In its canonical form. */
  readonly address: string;
  /** Left out: as it is, or 1. */
  readonly weight?: number | undefined;
  /** It serves what it has, and is to get nothing new. */
  readonly draining?: boolean | undefined;
}

export interface Answer {
  readonly backends: readonly FoundBackend[];
  /** When to ask again. */
  readonly againMs: number;
}

export interface Source {
  /** In words: `the file /etc/anyhop/web.yaml`. */
  readonly words: string;
  /** @returns all backends that there are @throws Error with the reason when that cannot be told; a part is no answer */
  ask(signal: AbortSignal): Promise<Answer>;
  /** Calls `changed` when it should be asked at once. @returns ends it */
  watch?(changed: () => void): () => void;
}

/** The same for the same backends, in whatever order they came. */
export function identityOf({ name, address, weight, draining = false }: FoundBackend): string {
  return `${name} ${address} ${weight ?? '-'} ${draining}`;
}
