/** @file The adapters of this machine: the embedded one is there, and the order of choice is a real GPU, lavapipe, SwiftShader. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chooseAdapter, listAdapters } from '../../src/node/adapter.ts';
import { ROOT } from '../support/cli.ts';

const embedded = process.platform === 'linux' && process.arch === 'x64';

it('after npm ci on Linux x64 SwiftShader is there without root or variables', async () => {
  const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { optionalDependencies: Record<string, string> };
  expect(optionalDependencies['@sparticuz/chromium']).toBe('147.0.0');
  if (!embedded) return;
  const installed = JSON.parse(readFileSync(join(ROOT, 'node_modules/@sparticuz/chromium/package.json'), 'utf8')) as { version: string };
  expect(installed.version).toBe('147.0.0');
  expect((await listAdapters()).map((a) => a.kind)).toContain('swiftshader');
});

it('takes the best of what there is, or what is asked for by name', () => {
  const all = [
    { kind: 'nvidia', name: 'NVIDIA RTX 4090' },
    { kind: 'lavapipe', name: 'llvmpipe' },
    { kind: 'swiftshader', name: 'SwiftShader Device' },
  ] as const;
  expect(chooseAdapter(all, 'auto').choice.kind).toBe('nvidia');
  expect(chooseAdapter(all.slice(1), 'auto').choice.kind).toBe('lavapipe');
  expect(chooseAdapter(all, 'swiftshader').choice.kind).toBe('swiftshader');
  expect(chooseAdapter(all, '4090').choice.kind).toBe('nvidia');
  expect(() => chooseAdapter(all.slice(1), 'gpu')).toThrow(/device gpu: this machine has no such device; there are lavapipe/);
  expect(() => chooseAdapter(all, '')).toThrow("device: is empty; expected auto, gpu or part of a device's name");
  expect(() => chooseAdapter([], 'auto')).toThrow(/install/);
});
