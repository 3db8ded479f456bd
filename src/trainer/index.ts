/** @file `ebb/trainer`: the training loop over a compiled program, and what generated trainers are made of; no compiler. Runs in a page. */

export { type StartOptions, startEngine } from '../run/engine.ts';
export type { OpenRun, RunBatch, RunBatches, RunStep, StepsOptions, TrainReport } from '../run/openRun.ts';
export type { MeasuredProgress, NoteProgress, PiecesProgress, Progress, StepProgress, Watch } from '../run/progress.ts';
export { namedWeights, type StartPiece, type StoredTensor, startingValue, type Weights } from '../run/startingValue.ts';
export { checkRequirements, type LoadedPlan, type ModelAbout, type Plan, parsePlan, planProgram, type Requirements } from '../runtime/planFile.ts';
export { type Batch, type BatchSource, makeBatch, readyBatches, tensorBatches, tokenStream } from '../train/batches.ts';
export { evaluate, type Measured, newState, type StepMetrics, type TrainConfig, type TrainState, train } from '../train/loop.ts';
export type { TrainableModel } from '../train/model.ts';
export { type NamedBytes, type PageResult, type PageRun, pageBatches, pageDevice, trainInPage } from './inPage.ts';
export { filesOf, type LoadedTrainer, loadPackage, loadTrainer, type PackageFacts, type ReadFile, type TrainerPackage } from './package.ts';
export { openPage } from './page.ts';
export type { RunOptions, Train, TrainerRun } from './run.ts';
export { openRun, startTrainer } from './start.ts';
