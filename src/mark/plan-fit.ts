/** A plan held to the original that it was committed with: a stranger's plan could else ask for any amount of memory. */
import { evidenceError } from '../base/index.js';
import type { CanonicalModel } from '../structure/index.js';
import type { ReleasePlan } from './plan.js';

/** @throws `MARK_PLAN_MISFIT` where a marked tensor or a segment is not one of the model's */
export function checkPlanFits({ marked, groups }: ReleasePlan, { tensors }: CanonicalModel): void {
  for (const { tensor, rows, width } of marked) {
    const shape = tensors.get(tensor)?.shape;
    const [own, elements] = [shape?.[0] ?? 1, (shape ?? []).reduce((all, size) => all * size, 1)];
    if (shape === undefined || rows !== own || rows * width !== elements) {
      misfit(`marked tensor ${tensor}`, `${rows} rows of ${width}`, shape);
    }
  }
  for (const { id, size, segments } of groups) {
    if (segments.length === 0) misfit(`group ${id}`, `${size} units that lie nowhere`, undefined);
    for (const { tensor, axis, start, unitStride, repeat, repeatStride } of segments) {
      const shape = tensors.get(tensor)?.shape;
      const last = start + (size - 1) * unitStride + (repeat - 1) * repeatStride;
      const length = shape?.[axis] ?? 0;
      if (repeat < 1 || size * repeat > length || last >= length) {
        misfit(`group ${id}, ${tensor} axis ${axis}`, `${size} units of ${repeat} from ${start} to ${last}`, shape);
      }
    }
  }
}

function misfit(where: string, got: string, shape: readonly number[] | undefined): never {
  throw evidenceError('MARK_PLAN_MISFIT', 'the committed plan does not fit the original', {
    expected: shape === undefined ? 'a tensor of the original' : `a place in [${shape.join(', ')}]`,
    got,
    where,
    todo: 'no release can have been made by this plan; do not rely on it',
  });
}
