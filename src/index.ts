/** @file The library: define a model, trace it, look at its IR, compile it, train it. */

export type { AnalyzeReport } from './analyze/report.ts';
export { deviceTraits } from './codegen/kernel/device.ts';
/** Expressions of the kernel IR, which the elements of ops are made of. */
export * as expr from './codegen/kernel/expr.ts';
/** Functions of expressions that keep NaN, and are exact, on every driver. */
export * as numerics from './codegen/kernel/numerics.ts';
export { type Compiled, type CompileOptions, compileModel } from './compile/compile.ts';
export { type Cost, type CostFactor, type CostTerm, leastOf, productOf, sumOf } from './cost.ts';
export { DefinitionError, type Diagnostic } from './definition/diagnostic.ts';
export { type LoadedDefinition, loadDefinition, traceDefinition } from './definition/load.ts';
export { createDropPlan, type Draw, type DropPlan, type DropPlanConfig, type DropPlanModel, type Moment, scalesBranches } from './dropbp/plans/index.ts';
export { EbbError, type EbbErrorCode } from './errors.ts';
export { f32ToF16 } from './formats/floats.ts';
export type { GgufKeys } from './formats/ggufKeys.ts';
export { type ConfigReader, type ConfigReading, type ConfigSpec, configReader, field, readTokens, tokenFields, writeTokens } from './formats/hfConfig.ts';
export { type Rope, type RopeScaling, readRope, ropeFields, writeRope } from './formats/hfRope.ts';
export { readWindow, windowFields } from './formats/hfWindow.ts';
export type { ExpectedTensor, GgufPlace, Layout } from './formats/layout.ts';
export { openSafetensors, readFloats, writeSafetensors } from './formats/safetensors.ts';
export { type MissingWeights, type WeightHeader, type WeightSource, widen } from './formats/weights.ts';
export type { View } from './inspect/views.ts';
export { constraint, OpError } from './ir/constraint.ts';
export { type Combine, type FuncBuilder, makeOp, type OpDef, type OpSource, type Rejection, type Sample, shapeToAttr } from './ir/define.ts';
export { type DecomposedOp, defineOp } from './ir/derive.ts';
export type { ElementAt, FourWide } from './ir/element.ts';
export { evaluate } from './ir/evaluate.ts';
export { registerOp } from './ir/ops/index.ts';
export { pointwiseOp } from './ir/ops/pointwise.ts';
export { reductionOp } from './ir/ops/reduce.ts';
export { parseModule } from './ir/parse.ts';
export { printFunc, printModule } from './ir/print.ts';
export type { Func, Module, Op, Type, Value } from './ir/types.ts';
export { verify } from './ir/verify.ts';
export * from './models/activations.ts';
export * from './models/attention.ts';
export { type Checkpoint, describeModel, FAMILIES, type ModelDescription, type ModelReading, openCheckpoint, parseHfConfig } from './models/checkpoint.ts';
export * from './models/decoder.ts';
export { type DecoderConfig, type DecoderDefaults, decoderFields, readDecoder, readDecoderKeys, writeDecoder } from './models/decoderConfig.ts';
export * from './models/decoderTensors.ts';
export * from './models/families.ts';
export { defineFamily, type Family, type FamilyGguf, type FamilyOf, type FamilySpec, type Model, type ModelConfig } from './models/family.ts';
export { type HeadOptions, languageHead } from './models/head.ts';
export { generationMode, keyValueCache, logitsMode, type ModelMode, type SequenceInputs, trainingMode, wantedRows } from './models/inputs.ts';
export * from './models/mlp.ts';
export * from './models/norms.ts';
export * from './models/rotary.ts';
export { listAdapters, type OpenedDevice, openDevice } from './node/adapter.ts';
export { differentiate } from './passes/pipeline.ts';
export { type HeldOutMetrics, isStep, type MetricsLine } from './run/metrics.ts';
export type { OpenRun, RunBatch, RunBatches, RunStep, StepsOptions, TrainReport } from './run/openRun.ts';
export type { MeasuredProgress, NoteProgress, PiecesProgress, Progress, StepProgress, Watch } from './run/progress.ts';
export { createEngine, type Engine, type MicroBatch, type StepResult } from './runtime/execute.ts';
export { type CheckReport, check } from './session/check.ts';
export { type DoctorReport, doctor } from './session/doctor.ts';
export { type FinetuneOptions, finetune } from './session/finetune.ts';
export { type ForwardOptions, forward, type GradOptions, type GradReport, grad } from './session/forward.ts';
export { createGenerator, type GenerateOptions, type Generator } from './session/generator.ts';
export { type InitOptions, init } from './session/init.ts';
export { type InspectOptions, type InspectPageOptions, inspect, inspectPage } from './session/inspect.ts';
export {
  type AnalyzeRunOptions,
  analyze,
  type CompileReport,
  compile,
  type PackageOptions,
  type PlanOptions,
  plan,
  type TuneOptions,
  tune,
} from './session/library.ts';
export { type AnswerOptions, type EvaluateOptions, type LoadedModel, type LoadOptions, loadModel } from './session/loadModel.ts';
export type { ModelSizes } from './session/modelSizes.ts';
export { type OpenRunOptions, openRun } from './session/openRun.ts';
export type { PlanReport } from './session/plan.ts';
export { type DataReading, type DataSequence, type ReadDataOptions, readData, type TextPart } from './session/readData.ts';
export type { RunOptions } from './session/runOptions.ts';
export {
  listRuns,
  type RunList,
  type RunReport,
  type RunView,
  runsPage,
  type ServedRun,
  type ServeRunOptions,
  serveRun,
  type WatchRunOptions,
  watchRun,
} from './session/runs.ts';
export { type LoraOptions, openSession, type Session, type SessionOptions, traceCheckpoint } from './session/session.ts';
export type { TextStream } from './session/textStream.ts';
export type { Tuned } from './session/tune.ts';
export { openTokenizer, type Tokenizer } from './tokenizer/open.ts';
export { type CompositeOp, callOp, compositeOp } from './trace/composite.ts';
export { type Initialiser, input, type ParamOptions, param, section, unit } from './trace/context.ts';
export { TraceError } from './trace/error.ts';
export * from './trace/image.ts';
export { captureLocations } from './trace/location.ts';
export * from './trace/math.ts';
export { named, qualifiedName } from './trace/naming.ts';
export * from './trace/nn.ts';
export { defineModel, type ModelDefinition, type TracedModel, traceModel } from './trace/trace.ts';
export { type Batch, type BatchSource, chunkTokens, makeBatch, sequenceBatches } from './train/batches.ts';
export { parseConfig, type RunConfig } from './train/config.ts';
export { initialValues } from './train/init.ts';
export { evaluate as evaluateLoss, type Measured, newState, planModel, type StepMetrics, type TrainerOptions, train, unitsOf } from './train/loop.ts';
export { type OptimizerConfig, updateScalar } from './train/optimizer.ts';
export { drawPattern } from './train/patterns.ts';
