/**
 * @file The protocol between the benchmark and a contestant: a request is one line of JSON on stdin, its reply is one on stdout.
 *
 * A contestant is a process that holds one library. It reads one request after the other, does what it asks, and writes its reply, or
 * `{"error": "..."}`. It ends when its stdin ends. It writes everything else to stderr.
 *
 *   open    opens the device                                           -> About
 *   load    names the model whose steps follow; reads nothing yet      -> {}
 *   first   reads the weights, traces and compiles the model, and      -> StepReply, whose ms is the time of all that
 *           does the first step
 *   step    does one more step: forward, the backward of all units     -> StepReply
 *           but those of `drop`, and AdamW, until its loss is known and the device is idle
 *   matmul  computes c = a b, `times` times in one go, and writes the  -> MatmulReply, whose ms is the time of one product
 *           product to the file `c`, if it is given, outside of `ms`. Operands stay for the next request of the same size.
 *
 * Only contestants with `drops` are asked to drop units or to train LoRA. `saved` asks for the bytes that are kept from forward to backward,
 * which are found outside of `ms`. Files of operands and products hold f32 in row-major order, little-endian.
 */

export interface OpenRequest {
  readonly do: 'open';
  /** The device, as `ebb train --device` takes it. */
  readonly device: string;
}

export interface LoadRequest {
  readonly do: 'load';
  readonly model: string;
  /** The rank of low-rank adapters on all linear layers of all blocks; then only they are trained. 0 trains everything. */
  readonly lora: number;
}

export interface StepRequest {
  readonly do: 'first' | 'step';
  /** The units without a backward, as `layers.N.attn` and `layers.N.mlp`. */
  readonly drop: readonly string[];
  readonly saved: boolean;
}

export interface MatmulRequest {
  readonly do: 'matmul';
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: string;
  readonly b: string;
  readonly c: string | null;
  readonly times: number;
}

export type Request = OpenRequest | LoadRequest | StepRequest | MatmulRequest;

/** The library with its version, and the device it runs on. */
export interface About {
  readonly library: string;
  readonly device: string;
}

export interface StepReply {
  readonly ms: number;
  readonly loss: number;
  /** Milliseconds of processor time in which the main thread prepared and submitted the step; wall time where processor time is not known. */
  readonly jsMs?: number;
  readonly dispatches?: number;
  /** FLOPs of forward and backward as they ran. */
  readonly flops?: number;
  readonly savedBytes?: number;
}

export interface MatmulReply {
  readonly ms: number;
}

/** The reply of each request. */
export interface Replies {
  readonly open: About;
  readonly load: Readonly<Record<string, never>>;
  readonly first: StepReply;
  readonly step: StepReply;
  readonly matmul: MatmulReply;
}

export type ReplyTo<R extends Request> = Replies[R['do']];
