/** @file Device profiles as files: what `ebb doctor --profile` prints and `ebb compile --device FILE.json` reads. docs/compile.md lists the keys. */

import { z } from 'zod';
import { EbbError } from '../../errors.ts';
import type { AdapterKind } from '../../runtime/adapterKind.ts';
import { DEVICE_FEATURES, DEVICE_LIMITS, type DeviceLimits, type DeviceProfile, WEBGPU_TARGET } from '../../runtime/deviceProfile.ts';
import { MATRIX_FEATURE } from '../../runtime/matrices.ts';
import { BUILT_IN } from './builtIn.ts';

/** Name and version of the format; other versions are refused by name. */
const FORMAT = 'ebb-device';
const VERSION = 1;

const KINDS: readonly AdapterKind[] = [...(Object.keys(BUILT_IN) as (keyof typeof BUILT_IN)[]), 'other'];

const count = z.int().positive();
const powerOfTwo = count.refine((lanes) => Number.isInteger(Math.log2(lanes)), 'expected a power of two');
const limits = z.strictObject(Object.fromEntries(DEVICE_LIMITS.map((name) => [name, count]))) as unknown as z.ZodType<DeviceLimits>;

const schema = z
  .strictObject({
    format: z.literal(FORMAT),
    version: z.literal(VERSION),
    name: z.string().min(1),
    target: z.string().min(1).default(WEBGPU_TARGET),
    kind: z.enum(KINDS),
    features: z.array(z.enum(DEVICE_FEATURES as [string, ...string[]])),
    limits,
    subgroups: z
      .strictObject({ least: powerOfTwo, most: powerOfTwo })
      .refine(({ least, most }) => least <= most, 'expected least to be no more than most')
      .nullable(),
    matrices: z
      .strictObject({
        shapes: z.array(z.strictObject({ m: count, n: count, k: count, input: z.enum(['f16', 'f32']), lanes: powerOfTwo })).min(1),
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

/** What a field holds, for a message. */
function foundAt(value: unknown, path: readonly PropertyKey[]): string {
  const found = path.reduce((inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined), value);
  return found === undefined ? 'is missing' : `is ${JSON.stringify(found)}`;
}

const HINT = 'ebb doctor --profile prints one';

/** Reads a profile. @param where the file's name @throws EbbError with the first field that is wrong, unknown or missing */
export function parseProfile(text: string, where: string): DeviceProfile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EbbError(`${where}: is no JSON (${error instanceof Error ? error.message : String(error)}); expected a device profile, ${HINT}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    const { format: _format, version: _version, ...profile } = parsed.data;
    return profile;
  }
  const [issue] = parsed.error.issues;
  if (!issue) throw new EbbError(`${where}: is no device profile; ${HINT}`);
  if (issue.code === 'unrecognized_keys')
    throw new EbbError(`${where}: unknown key ${issue.keys.map((key) => [...issue.path, key].join('.')).join(', ')}; ${HINT}`);
  const at = issue.path.length > 0 ? `${issue.path.join('.')} ${foundAt(value, issue.path)}` : 'the file is no object';
  throw new EbbError(`${where}: ${at}; ${issue.message.replace(/^Invalid \w+: /, '')}; ${HINT}`);
}
