/** Progress of long work, reported by libraries and drawn by whoever called them. */
export interface Progress {
  /** @param note what is being done now, e.g. `loss 0.231` */
  update(done: number, total: number, note?: string): void;
}

export const noProgress: Progress = { update() {} };
