/** @file Device profiles: those that are built in, as files, and what a plan says of a device that lacks something. */

import { BUILT_IN, PORTABLE } from '../../src/compile/devices/builtIn.ts';
import { parseProfile, profileText } from '../../src/compile/devices/file.ts';
import type { DeviceProfile } from '../../src/runtime/deviceProfile.ts';
import { MATRIX_FEATURE } from '../../src/runtime/matrices.ts';
import { checkRequirements, type Requirements } from '../../src/runtime/planFile.ts';
import { openTestDevice } from '../support/testDevice.ts';

const FORMAT = { format: 'ebb-device', version: 1 };
const parsed = (change: object): DeviceProfile => parseProfile(JSON.stringify({ ...FORMAT, ...BUILT_IN.nvidia, ...change }), 'mine.json');

it.each(Object.entries({ ...BUILT_IN, portable: PORTABLE }))('%s as a file is read back as it was, and has what WebGPU promises', (_name, profile) => {
  expect(parseProfile(profileText(profile), 'x.json')).toEqual(profile);
  for (const [limit, least] of Object.entries(PORTABLE.limits)) expect(profile.limits[limit as keyof DeviceProfile['limits']]).toBeGreaterThanOrEqual(least);
});

it('the embedded and the installed software devices are as their profiles say, but for their names', async () => {
  const { device, close } = await openTestDevice();
  const { kind, name: _name, ...found } = device.profile;
  if (kind === 'swiftshader' || kind === 'lavapipe') {
    const { kind: _kind, name: _profile, ...expected } = BUILT_IN[kind];
    expect(found).toEqual(expected);
  }
  close();
});

it.each<[object, string]>([
  [{ maxWarps: 3 }, 'mine.json: unknown key maxWarps; ebb doctor --profile prints one'],
  [{ limits: { ...BUILT_IN.nvidia.limits, maxWarps: 3 } }, 'mine.json: unknown key limits.maxWarps; '],
  [{ limits: {} }, '  limits.maxStorageBufferBindingSize: is missing, expected '],
  [{ limits: { ...BUILT_IN.nvidia.limits, maxBufferSize: '4GiB' } }, 'mine.json: limits.maxBufferSize: is "4GiB", expected a whole number above 0; ebb doctor'],
  [{ limits: { ...BUILT_IN.nvidia.limits, maxBufferSize: -1 } }, 'mine.json: limits.maxBufferSize: is -1, expected a whole number above 0'],
  [
    { limits: { ...BUILT_IN.nvidia.limits, maxComputeWorkgroupStorageSize: 1024 } },
    'mine.json: limits.maxComputeWorkgroupStorageSize: is 1024, expected at least 16384, which every WebGPU device has',
  ],
  [{ name: 'a card\nand a line' }, 'mine.json: name: is "a card\\nand a line", expected text of one line'],
  [{ name: '' }, 'mine.json: name: is "", expected text of one line'],
  [{ features: ['subgroups', 'subgroups'] }, 'features: is ["subgroups","subgroups"], expected every feature once'],
  [{ features: ['subgroups', 'tensor-cores'] }, 'mine.json: features.1: is "tensor-cores", expected "subgroups", '],
  [{ kind: 'riva' }, 'mine.json: kind: is "riva", expected "nvidia", '],
  [{ version: 2 }, 'mine.json: version: is 2, expected 1'],
  [{ format: 'ebb-plan' }, 'mine.json: format: is "ebb-plan", expected "ebb-device"'],
  [{ subgroups: { least: 64, most: 32 } }, 'mine.json: subgroups: is {"least":64,"most":32}, expected least to be no more than most'],
  [{ subgroups: { least: 24, most: 32 } }, 'mine.json: subgroups.least: is 24, expected a power of two from 4 to 128'],
  [{ subgroups: { least: 2, most: 32 } }, 'mine.json: subgroups.least: is 2, expected a power of two from 4 to 128'],
  [{ subgroups: { least: 32, most: 4096 } }, 'mine.json: subgroups.most: is 4096, expected a power of two from 4 to 128'],
  [{ subgroups: null }, 'mine.json: subgroups: is null, expected their sizes, as the features name subgroups'],
  [{ matrices: null }, `mine.json: matrices: is null, expected shapes where the features name ${MATRIX_FEATURE}`],
])('refuses %j', (change, message) => {
  expect(() => parsed(change)).toThrow(message);
});

it('takes WGSL where a profile does not say which language', () => {
  expect(parsed({ target: undefined }).target).toBe('wgsl');
  expect(parsed({ target: 'metal' }).target).toBe('metal');
});

it('refuses what is no profile at all', () => {
  expect(() => parseProfile('{', 'mine.json')).toThrow(
    /^mine\.json: is not valid JSON at line 1, column 2: .*; expected a device profile, ebb doctor --profile prints one$/,
  );
  const text = profileText(BUILT_IN.amd);
  expect(() => parseProfile(text.replace('"kind"', '"name": "two", "kind"'), 'mine.json')).toThrow('the key "name" occurs twice; expected a device profile');
  // an editor may begin a file with a byte order mark
  expect(parseProfile(`\ufeff${text}`, 'mine.json')).toEqual(BUILT_IN.amd);
  for (const text of ['3', 'null', '[]']) expect(() => parseProfile(text, 'mine.json')).toThrow(/^mine\.json: is (3|null|\[\]), expected keys with values; /);
});

const REQUIRES: Requirements = { kind: 'nvidia', device: 'a card', subgroupSize: null, features: [], matrices: [], limits: {} };

it.each<[Partial<Requirements>, string]>([
  [{ features: ['subgroups', 'shader-f16'] }, 'lacks the feature shader-f16'],
  [{ subgroupSize: 32 }, 'has subgroups of 4 lanes, not of 32'],
  [{ matrices: [{ m: 16, n: 8, k: 16, input: 'f16' }] }, 'multiplies no matrices of 16 × 16 and 16 × 8 in f16'],
  [{ limits: { maxComputeInvocationsPerWorkgroup: 1024 } }, 'has maxComputeInvocationsPerWorkgroup 256, less than 1024'],
])('a device that lacks something is refused by name: %j', (requires, lack) => {
  expect(() => checkRequirements({ ...REQUIRES, ...requires }, BUILT_IN.swiftshader)).toThrow(
    `the trainer was compiled for nvidia (a card), and this device, SwiftShader, profile of Chromium 147, ${lack}; compile the model for this device`,
  );
});

it('takes a device that lacks nothing, and plans that do not say what they were compiled for', () => {
  checkRequirements({ ...REQUIRES, subgroupSize: 32, features: ['shader-f16'], matrices: [{ m: 16, n: 8, k: 16, input: 'f16' }] }, BUILT_IN.nvidia);
  const old = { kind: 'nvidia', subgroupSize: 8, features: [], limits: {} } as const;
  checkRequirements(old, BUILT_IN.lavapipe);
  expect(() => checkRequirements(old, BUILT_IN.amd)).toThrow(
    'the trainer was compiled for nvidia, and this device, AMD, profile of RDNA, has no one size of subgroups, not of 8',
  );
});
