/** @file `plan` promises only what `train` accepts: on devices with less than a run takes, both refuse it in the same words. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finetune, plan } from '../../src/index.ts';
import type { CommandDevice } from '../../src/node/device.ts';
import type { DeviceLimits, DeviceProfile } from '../../src/runtime/deviceProfile.ts';
import { ROOT, TINY_MODEL } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-fits-'));
  opened = await openTestDevice();
});
afterAll(() => {
  opened.device.destroy();
  rmSync(folder, { recursive: true });
});

/** The test's device, as if it had less. */
function less(limits: Partial<DeviceLimits>, change: Partial<DeviceProfile> = {}): CommandDevice {
  const { profile } = opened.device;
  return { ...opened, device: { ...opened.device, profile: { ...profile, ...change, limits: { ...profile.limits, ...limits } } } };
}

const RUN = { model: TINY_MODEL, data: join(ROOT, 'examples/demo/questions.jsonl'), steps: 1, length: 24, batch: 2, tune: 'off' } as const;

/** Sizes of which the activations are large. */
const LONG = { length: 128, batch: 16 };

let runs = 0;
const outcome = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: Error) => `${error.name}: ${error.message}`,
  );

it.each<[string, Partial<DeviceLimits>, RegExp, Partial<typeof LONG>?]>([
  ['largest buffer, for parameters', { maxBufferSize: 2 ** 14 }, /takes \d+ bytes, and a buffer of this device holds at most 16384/],
  [
    'largest buffer, for activations',
    { maxBufferSize: 2 ** 20 },
    /activations needs a buffer of \d+ bytes, this device allows 1048576 \(maxBufferSize\)/,
    LONG,
  ],
  ['buffers a kernel', { maxStorageBuffersPerShaderStage: 3 }, /binds \d+ buffers, the device allows 3/],
  ['largest binding, so that parts are more than a kernel binds', { maxStorageBufferBindingSize: 1024 }, /binds \d+ buffers, the device allows \d+/],
  ['workgroups along an axis', { maxComputeWorkgroupsPerDimension: 1 }, /takes \d+ × \d+ × \d+ workgroups, this device allows 1 along each axis/],
  ['lanes of a workgroup along x', { maxComputeWorkgroupSizeX: 2 }, /workgroup size \d+ along x, the device allows 2/],
])('%s', async (_, limits, refused, sizes = {}) => {
  const device = less(limits);
  const planned = await outcome(plan({ ...RUN, ...sizes, device }));
  expect(planned).toMatch(refused);
  expect(planned).toMatch(/^EbbError: /);
  expect(await outcome(finetune({ ...RUN, ...sizes, out: join(folder, `run-${runs++}`), device }))).toBe(planned);
});

it('the longest sequences that it promises are those that the device takes', async () => {
  const device = less({ maxBufferSize: 2 ** 22 });
  const { longest } = await plan({ ...RUN, device, memoryBudget: '64MiB' });
  const { saving } = longest!.rates.find(({ rate }) => rate === 0)!;
  expect(saving).toBeGreaterThan(RUN.length);
  expect(await outcome(plan({ ...RUN, length: saving, device }))).toBe('accepted');
  expect(await outcome(plan({ ...RUN, length: saving + longest!.within, device }))).toMatch(/this device allows 4194304 \(maxBufferSize\)/);
});
