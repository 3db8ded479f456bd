/**
 * Trains small: 2 units that may lose their backward in a step (DropBP, arXiv 2402.17812).
 * Compiled by Ebb 0.1.0 for any WebGPU device.
 *
 *   node trainer.js --weights model.safetensors --data batches.safetensors --steps 100 --lr 1e-3 --drop-rate 0.5 --seed 1 --out runs/mine
 */
import { startTrainer } from 'ebb/trainer';
export { openPage, trainInPage } from 'ebb/trainer';
/** Residual branches that may lose their backward in a step, in the order they run. */
export const UNITS = [
    'layers.0', // backward 1.57 kFLOP, saves 512 B
    'layers.1', // backward 1.57 kFLOP, saves 512 B
];
/** Largest sizes of a step; smaller ones run with the same kernels. */
export const BOUNDS = { B: 4 };
/** Trained parameters and their shapes. */
export const PARAMETERS = {
    'embed.weight': [8, 8],
    'layers.0.weight': [8, 8],
    'layers.1.weight': [8, 8],
    'head.weight': [8, 8],
};
/** The compiled model beside this file: plan.json, kernels/, and tables.safetensors if it has tables. */
export const trainer = {
    name: 'small',
    folder: new URL('.', import.meta.url),
    units: UNITS,
    bounds: BOUNDS,
};
// the command line, when Node runs this file; a page imports `trainer` and `openPage` instead
await startTrainer(trainer, import.meta.url);
