/**
 * A document of named values, read front to back by whoever knows what should be in it: JSON and its binary form,
 * UBJSON. Nothing is built of what is not asked for, so that a model of 100 MB costs its numbers and no objects.
 */
export interface Document {
  /** What the next value is. */
  next(): 'object' | 'list' | 'text' | 'other';
  /** The next value is an object: `visit` takes or skips the value of each member. */
  members(visit: (name: string) => void): void;
  /** The next value is a list: `visit` takes or skips each value. */
  items(visit: (index: number) => void): void;
  /** The next value is a list of numbers; truth values count as 1 and 0. */
  numbers(): Float64Array;
  text(): string;
  skip(): void;
  /** Where in the file the next value begins. */
  offset(): number;
  /** Nothing follows. */
  end(): void;
}
