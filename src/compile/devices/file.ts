/** @file Device profiles as files: what `ebb doctor --profile` prints and `ebb compile --device FILE.json` reads. docs/compile.md lists the keys. */

import { z } from 'zod';
import { EbbError } from '../../errors.ts';
import { type Json, parseJson } from '../../formats/json.ts';
import { parseBy } from '../../issues.ts';
import type { AdapterKind } from '../../runtime/adapterKind.ts';
import { DEVICE_FEATURES, DEVICE_LIMITS, type DeviceLimits, type DeviceProfile, WEBGPU_TARGET } from '../../runtime/deviceProfile.ts';
import { MATRIX_FEATURE } from '../../runtime/matrices.ts';
import { BUILT_IN, PORTABLE } from './builtIn.ts';

/** Name and version of the format; other versions are refused by name. */
const FORMAT = 'ebb-device';
const VERSION = 1;

const KINDS: readonly AdapterKind[] = [...(Object.keys(BUILT_IN) as (keyof typeof BUILT_IN)[]), 'other'];

/** Lanes of the smallest and of the largest subgroups that WebGPU knows. */
const LANES = { least: 4, most: 128 } as const;

const WHOLE = 'expected a whole number above 0';
const count = z.int(WHOLE).positive(WHOLE);
const lanes = count.refine(
  (n) => Number.isInteger(Math.log2(n)) && n >= LANES.least && n <= LANES.most,
  `expected a power of two from ${LANES.least} to ${LANES.most}`,
);

/** A limit: a device with less than WebGPU promises is none, and kernels count on that much. */
function limitOf(name: keyof DeviceLimits): z.ZodType<number> {
  const least = PORTABLE.limits[name];
  return count.min(least, `expected at least ${least}, which every WebGPU device has`);
}

const limits = z.strictObject(Object.fromEntries(DEVICE_LIMITS.map((name) => [name, limitOf(name)]))) as unknown as z.ZodType<DeviceLimits>;

const schema = z
  .strictObject({
    format: z.literal(FORMAT),
    version: z.literal(VERSION),
    name: z.string('expected text').regex(/^[^\p{Cc}]+$/u, 'expected text of one line'),
    target: z
      .string('expected text')
      .regex(/^[^\p{Cc}]+$/u, 'expected text of one line')
      .default(WEBGPU_TARGET),
    kind: z.enum(KINDS),
    features: z.array(z.enum(DEVICE_FEATURES as [string, ...string[]])).refine((names) => new Set(names).size === names.length, 'expected every feature once'),
    limits,
    subgroups: z
      .strictObject({ least: lanes, most: lanes })
      .refine(({ least, most }) => least <= most, 'expected least to be no more than most')
      .nullable(),
    matrices: z
      .strictObject({
        shapes: z.array(z.strictObject({ m: count, n: count, k: count, input: z.enum(['f16', 'f32']), lanes })).min(1, 'expected a shape or more'),
        multiple: count,
      })
      .nullable(),
  })
  .superRefine(({ features, subgroups, matrices }, context) => {
    const refuse = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message });
    if (features.includes('subgroups') && subgroups === null) refuse('subgroups', 'expected their sizes, as the features name subgroups');
    if (features.includes(MATRIX_FEATURE) !== (matrices !== null))
      refuse('matrices', `expected shapes where the features name ${MATRIX_FEATURE}, and null elsewhere`);
  });

/** The text of a profile. */
export function profileText(profile: DeviceProfile): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...profile }, null, 2)}\n`;
}

const HINT = 'ebb doctor --profile prints one';

function parsed(text: string, where: string): Json {
  try {
    return parseJson(where, text);
  } catch (error) {
    throw new EbbError(`${error instanceof Error ? error.message : String(error)}; expected a device profile, ${HINT}`);
  }
}

/** Reads a profile. @param where the file's name @throws EbbError with every field that is wrong, unknown or missing */
export function parseProfile(text: string, where: string): DeviceProfile {
  const { format: _format, version: _version, ...profile } = parseBy(schema, parsed(text, where), where, HINT);
  return profile;
}
