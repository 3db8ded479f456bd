/** @file What `ebb compile` compiles for, by its flags; and the flags that named devices in version 0.1.0. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILT_IN, PORTABLE } from '../../src/compile/devices/builtIn.ts';
import { profileText } from '../../src/compile/devices/file.ts';
import { type CompileDeviceFlags, compileDevice } from '../../src/session/compileDevice.ts';
import { adapterOf, deviceOf } from '../../src/terminal/deviceFlags.ts';

let folder: string;
let said: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-device-'));
  said = [];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const NONE: CompileDeviceFlags = { device: undefined, standalone: false };
const chosen = (flags: Partial<CompileDeviceFlags>) => compileDevice({ ...NONE, ...flags });

it('a device of this machine, a built-in profile, or a profile in a file', () => {
  expect(chosen({})).toEqual({ open: undefined });
  for (const device of ['auto', 'gpu', '4090']) expect(chosen({ device })).toEqual({ open: device });
  for (const [device, profile] of Object.entries(BUILT_IN)) expect(chosen({ device })).toEqual({ profile });
  expect(chosen({ device: 'NVIDIA' })).toEqual({ profile: BUILT_IN.nvidia });
  expect(() => chosen({ device: folder })).toThrow(`--device ${folder}: is a path, and a profile's name ends in .json; ebb doctor --profile prints one`);
  const file = join(folder, 'mine.json');
  writeFileSync(file, profileText({ ...BUILT_IN.amd, name: 'mine' }));
  expect(chosen({ device: file })).toEqual({ profile: { ...BUILT_IN.amd, name: 'mine' } });
  expect(() => chosen({ device: join(folder, 'none.json') })).toThrow('none.json');
});

it('standalone trainers are portable unless a device is asked for', () => {
  expect(chosen({ standalone: true })).toEqual({ profile: PORTABLE });
  expect(chosen({ device: 'portable' })).toEqual({ profile: PORTABLE });
  expect(chosen({ standalone: true, device: 'auto' })).toEqual({ open: 'auto' });
  expect(chosen({ standalone: true, device: 'amd' })).toEqual({ profile: BUILT_IN.amd });
});

it('--adapter is taken for --device where it names no path, and told once', () => {
  expect(deviceOf({})).toBeUndefined();
  expect(deviceOf({ device: 'gpu' })).toBe('gpu');
  expect(said).toEqual([]);
  expect(deviceOf({ adapter: 'gpu' })).toBe('gpu');
  expect(said).toEqual(['--adapter gpu is called --device gpu now; the old flag is still taken\n']);
  expect(() => deviceOf({ adapter: 'gpu', device: 'gpu' })).toThrow('give --device alone');
  expect(() => deviceOf({ adapter: folder })).toThrow(`--adapter ${folder}: is a path, and this command takes no PEFT adapter by a flag`);
});

it('beside PEFT adapters --adapter is taken for a device by its exact names alone', () => {
  expect(adapterOf({ device: 'gpu', adapter: [folder] })).toEqual({ device: 'gpu', adapter: folder });
  expect(adapterOf({ adapter: ['4090'] })).toEqual({ device: undefined, adapter: '4090' });
  expect(said).toEqual([]);
  expect(adapterOf({ adapter: ['swiftshader', folder] })).toEqual({ device: 'swiftshader', adapter: folder });
  expect(said).toEqual(['--adapter swiftshader is called --device swiftshader now; the old flag is still taken\n']);
  expect(() => adapterOf({ adapter: ['a', 'b'] })).toThrow('--adapter: expected one PEFT adapter, found a and b');
  expect(() => adapterOf({ adapter: ['gpu', 'auto'] })).toThrow('the device auto is named too');
  expect(() => adapterOf({ adapter: ['gpu'], device: 'lavapipe' })).toThrow('the device lavapipe is named too');
});
