/** Messages between the main thread and the worker that reads and compiles lists: each is answered once. Their memory is shared. */
import type { ListsInput } from './compile.js';
import type { ReadList } from './files.js';

export type ToWorker = { readonly paths: readonly string[] } | { readonly input: ListsInput };

export type FromWorker =
  | { readonly lists: readonly ReadList[] }
  | { readonly memory: SharedArrayBuffer | undefined }
  | { readonly failed: string };
