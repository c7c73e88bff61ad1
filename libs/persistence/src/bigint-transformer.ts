import type { ValueTransformer } from 'typeorm';

/** Columns of type bigint as `bigint`: the driver hands out strings, because a number would round. */
export const bigintTransformer: ValueTransformer = {
  from: (value: string | null): bigint | null => (value === null ? null : BigInt(value)),
  to: (value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value),
};
