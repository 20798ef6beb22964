import { ApiProblem, getJson, problemWords } from "./api";

const RETRY_MS = 3000;

/**
 * The live picture: whole at first, then its changed parts. `lost` and `unchangedS` say how far to
 * trust it; a page that has lost its stream keeps the last picture and says so.
 */
export class Live<T extends { stale_s: number; speed: number }> {
  private picture = $state.raw<T | null>(null);
  private strange = $state.raw<Error | null>(null);
  lost = $state(false);
  unchangedS = $state(0);
  problem = $state("");
  private source: EventSource | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly path: string,
    private readonly fields: (keyof T & string)[],
    private readonly onUnauthorized?: () => void,
  ) {}

  /** Throws, so that the page says so, where the server sends what this page cannot read. */
  get view(): T | null {
    if (this.strange) throw this.strange;
    return this.picture;
  }

  get staleS(): number {
    // The heart counts in its own time; under a twin's speed its seconds pass faster than ours.
    return Math.max((this.view?.stale_s ?? 0) / Math.max(this.view?.speed ?? 1, 1), this.unchangedS);
  }

  /**
   * Open the stream; returns the function that closes it. With `restHidden` a page in the background
   * gives its connection back (a browser has six for each host) and comes back with the whole picture.
   */
  open(restHidden = false): () => void {
    const follow = () => {
      if (restHidden && document.hidden) this.close();
      else if (!this.source) this.connect();
    };
    document.addEventListener("visibilitychange", follow);
    follow();
    return () => {
      document.removeEventListener("visibilitychange", follow);
      this.close();
    };
  }

  private close(): void {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  private connect(): void {
    const source = new EventSource(this.path);
    this.source = source;
    source.addEventListener("view", (message) => this.take(JSON.parse(message.data as string) as T));
    source.addEventListener("patch", (message) => {
      if (this.picture) this.take({ ...this.picture, ...(JSON.parse(message.data as string) as Partial<T>) });
    });
    source.addEventListener("heartbeat", (message) => {
      const pulse = JSON.parse(message.data as string) as { unchanged_s: number };
      this.unchangedS = pulse.unchanged_s;
      this.lost = false;
    });
    source.onerror = () => {
      this.lost = true;
      if (source.readyState === EventSource.CLOSED) void this.askWhy();
    };
  }

  private take(view: T): void {
    const missing = this.fields.filter((field) => !(field in view));
    if (missing.length > 0) {
      this.strange = new Error(`${this.path} lacks ${missing.join(", ")}: this page is of another release`);
      return;
    }
    this.picture = view;
    this.unchangedS = 0;
    this.lost = false;
    this.problem = "";
  }

  /** A stream that was refused tells no reason; the same path's JSON does. */
  private async askWhy(): Promise<void> {
    try {
      await getJson(this.path.includes("public") ? "/api/v1/public" : "/api/v1/view");
    } catch (error) {
      this.problem = problemWords(error);
      if (error instanceof ApiProblem && error.status === 401) {
        this.onUnauthorized?.();
        return;
      }
    }
    this.retry = setTimeout(() => this.connect(), RETRY_MS);
  }
}
