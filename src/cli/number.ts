/** Numbers as options and arguments take them. */
import { InvalidArgumentError } from 'commander';

/** A whole number, written in digits. */
export function between(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

export function secondsBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[\d.]+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected seconds, ${min} to ${max}.`);
  };
}
