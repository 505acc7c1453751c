/** What every refusal of a model says, whichever reader made it: the file, and what to do. */
import { MunimentError } from '../base/index.js';

const TODO = 'the file is damaged, or made to mislead; fetch it again, or export the model anew';

/** @param name of the file that was opened */
export function withPlaceAndTodo(error: unknown, name: string): unknown {
  if (!(error instanceof MunimentError) || error.kind !== 'input') return error;
  const { where, todo } = error.facts;
  // Readers of bytes know where they are, not in which file.
  const bare = where === undefined || /^byte \d+$/.test(where);
  if (!bare && todo !== undefined) return error;
  const place = bare ? [name, where].filter((part) => part !== undefined).join(' ') : where;
  const told = new MunimentError(error.kind, error.code, error.message, {
    ...error.facts,
    where: place,
    todo: todo ?? TODO,
  });
  if (error.stack !== undefined) told.stack = error.stack;
  return told;
}
