/** `compare` from files to the answer, with bytes read and seconds. */
import { type Model, openModel } from '../formats/index.js';
import { type CompareOptions, compareSubjects } from './compare.js';
import { subjectOfModel } from './open-subject.js';
import { learnedElements } from './subject.js';
import { compareTreeModels } from './trees.js';
import type { Comparison } from './types.js';

export interface CompareFilesOptions {
  /** A model that both may have started from. */
  readonly base?: string;
  /** An ONNX file whose graph vouches for the unit groups of models without one. */
  readonly graph?: string;
  readonly onStep?: CompareOptions['onStep'];
}

/**
 * @param a the reference, usually the owner's
 * @param b the suspect
 * @throws what opening and reading throw; `COMPARE_NOTHING_LEFT`
 */
export async function compareFiles(a: string, b: string, options: CompareFilesOptions = {}): Promise<Comparison> {
  const started = performance.now();
  const opened: Model[] = [];
  const open = async (path: string): Promise<Model> => {
    const model = await openModel(path);
    opened.push(model);
    return model;
  };
  try {
    const first = await open(a);
    const second = await open(b);
    const base = options.base === undefined ? undefined : await open(options.base);
    const given = options.graph === undefined ? undefined : await open(options.graph);
    const subject = (model: Model, name: string) =>
      subjectOfModel(model, name, model.graph === null ? given : undefined);
    const [ours, theirs] = [await subject(first, a), await subject(second, b)];
    // Layers speak where both have them, whatever trees stand beside: only trees alone are matched tree by tree.
    const onlyTrees = learnedElements(ours) === 0 || learnedElements(theirs) === 0;
    const answer =
      (onlyTrees ? compareTreeModels(first, second, base) : null) ??
      (await compareSubjects(ours, theirs, {
        ...(base === undefined ? {} : { base: await subject(base, options.base!) }),
        ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
      }));
    const bytesRead = opened.reduce((sum, model) => sum + model.bytesRead, 0);
    return { ...answer, bytesRead, seconds: Math.round(performance.now() - started) / 1000 };
  } finally {
    await Promise.all(opened.map((model) => model.close()));
  }
}
