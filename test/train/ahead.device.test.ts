/** @file Running ahead of the device changes no number: the same bits as waiting for every step. */

import { compileModel } from '../../src/compile/compile.ts';
import { startEngine } from '../../src/run/engine.ts';
import { aboutModel, trainableModel } from '../../src/session/session.ts';
import { parseConfig } from '../../src/train/config.ts';
import { newState, type StepMetrics, train } from '../../src/train/loop.ts';
import { openTestDevice } from '../support/testDevice.ts';
import { tinyModel, tinyReading } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

it('trains to the same losses, norms and weights with no step ahead and with two', async () => {
  const { device, traits } = await openTestDevice();
  const traced = tinyModel();
  const compiled = compileModel(traced, { device: { traits: traits, maxBuffers: 8 }, optimizers: ['adamw'] });
  const model = trainableModel(traced, compiled, aboutModel('tiny', tinyReading().model, traced, null));
  const config = { ...parseConfig({ model: 'm', data: 'd', seed: 4, drop: { kind: 'uniform', rate: 0.5 } }, 'x'), steps: 12 };
  const ran = async (ahead: number) => {
    const engine = await startEngine(
      device,
      model,
      { path: null, tensors: new Map(), adapter: null },
      { micros: 1, optimizer: 'adamw', decay: 'all', seed: 2 },
    );
    const lines: Pick<StepMetrics, 'step' | 'loss' | 'gradNorm' | 'dropped'>[] = [];
    // lengths differ from step to step: what one step binds and is given is not that of the next
    const batches = {
      at: (i: number) =>
        tokenBatch(
          [2, 3 + (i % 7)],
          Int32Array.from({ length: 2 * (3 + (i % 7)) }, (_, k) => (k * 5 + i) % 37),
        ),
    };
    const onStep = ({ step, loss, gradNorm, dropped }: StepMetrics): void => void lines.push({ step, loss, gradNorm, dropped });
    await train({ engine, config, batches, state: newState(engine), ahead, onStep });
    const weights = await engine.readParam(0);
    engine.destroy();
    return { lines, weights };
  };
  const [waiting, ahead] = [await ran(0), await ran(2)];
  expect(waiting.lines.map((l) => l.step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  expect(new Set(waiting.lines.map((l) => l.loss)).size).toBe(12);
  expect(ahead).toEqual(waiting);
  device.destroy();
}, 300_000);
