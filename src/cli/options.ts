/** Typed reading of a call's options. */
import path from 'node:path';
import { isUrl, usageError } from '../base/index.js';
import type { Call } from './command.js';

export function textOption(call: Call, name: string): string | undefined {
  const value = call.options[name];
  return typeof value === 'string' ? value : undefined;
}

export const textsOption = (call: Call, name: string): readonly string[] => {
  const value = call.options[name];
  return Array.isArray(value) ? (value as readonly string[]) : [];
};

export const flagOption = (call: Call, name: string): boolean => call.options[name] === true;

export interface NumberBounds {
  readonly min?: number;
  readonly max?: number;
  readonly integer?: boolean;
}

/** @throws `OPTION_VALUE` for anything but a finite decimal number inside the bounds */
export function numberOption(call: Call, name: string, bounds: NumberBounds = {}): number | undefined {
  const text = textOption(call, name);
  if (text === undefined) return undefined;
  // Number('') is 0 and Number('0x10') is 16: neither is what a person meant.
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  const { min = -Infinity, max = Infinity, integer = false } = bounds;
  if (!Number.isFinite(value) || value < min || value > max || (integer && !Number.isSafeInteger(value))) {
    const range = [min === -Infinity ? '' : `from ${min}`, max === Infinity ? '' : `to ${max}`]
      .filter(Boolean)
      .join(' ');
    throw usageError('OPTION_VALUE', `--${name} is not ${integer ? 'a whole number' : 'a number'} in its range`, {
      expected: `${integer ? 'a whole number' : 'a number'}${range === '' ? '' : ` ${range}`}`,
      got: text,
    });
  }
  return value;
}

/** A model as openModel takes it: a path from the working folder, an address, or `-` for standard input. */
export const modelArgument = (call: Call, name: string): string =>
  name === '-' || isUrl(name) ? name : path.resolve(call.cwd, name);
