/** @file The kinds of values that options of the library take. */

import { z } from 'zod';
import { STORED_TYPE_NAMES } from '../formats/storedType.ts';
import type { OptionShape } from '../issues.ts';
import type { Watch } from '../run/progress.ts';
import type { OnDevice } from './device.ts';
import type { ModelSizes } from './modelSizes.ts';

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** A whole number from `least` on. */
export const whole = (least: number): z.ZodType => z.int().min(least).optional();
/** A number from `least` to `most`. */
export const within = (least: number, most = Number.POSITIVE_INFINITY): z.ZodType => z.number().min(least).max(most).optional();
export const text: z.ZodType = z.string().min(1);
export const flag: z.ZodType = z.boolean().optional();
export const names: z.ZodType = z.array(z.string()).optional();
export const oneOf = (values: readonly string[]): z.ZodType => z.enum([...values]).optional();
export const listener: z.ZodType = z.custom((value) => typeof value === 'function', 'expected a function').optional();
export const signal: z.ZodType = z
  .custom((value) => isObject(value) && typeof Reflect.get(value, 'throwIfAborted') === 'function', 'expected the signal of an AbortController')
  .optional();

/** How a call is watched. */
export const WATCH: OptionShape<Watch> = { onProgress: listener, signal };

const isOpened = (value: unknown): boolean => isObject(value) && isObject(Reflect.get(value, 'device'));

/** Where a call computes. */
export const ON_DEVICE: OptionShape<OnDevice> = {
  device: z.custom((value) => typeof value === 'string' || isOpened(value), "expected a device's name, or a device that openDevice opened").optional(),
};

/** What a model is traced for. What an adapter may be, `loraOptions` checks. */
export const MODEL_SIZES: OptionShape<ModelSizes> = { batch: whole(1), length: whole(1), lora: z.unknown().optional(), dtype: oneOf(STORED_TYPE_NAMES) };
