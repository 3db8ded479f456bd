/**
 * @file What the benchmark says to a contestant, and what it answers: one line of JSON each way, over stdin and stdout.
 *
 * A contestant is a process that holds one library. It reads a `Request` a line, does it, and writes the reply of that request as one line,
 * or `{"error": "..."}`; it ends when its stdin does. Whatever else it prints belongs on stderr.
 *
 *   open    the device is opened                                       -> About
 *   load    names the model whose steps follow; nothing is read yet    -> {}
 *   first   weights are read, the model is traced and compiled,        -> StepReply, ms being all of it
 *           and the first step is done
 *   step    one more step: forward, backward of all units but those    -> StepReply
 *           of `drop`, AdamW, until its loss is known and the device is idle
 *   matmul  c = a b, `times` times in one go; with `c` the product is  -> MatmulReply, ms of one
 *           written there, untimed. Operands stay for the next request of the same size.
 *
 * Only contestants with `drops` are given units to drop or LoRA; `saved` asks for the bytes kept from forward to backward, outside of `ms`.
 * Files of operands and products hold f32, row-major, little-endian.
 */

export interface OpenRequest {
  readonly do: 'open';
  /** As `ebb train --device` takes it. */
  readonly device: string;
}

export interface LoadRequest {
  readonly do: 'load';
  readonly model: string;
  /** Rank of low-rank adapters on all linear layers of all blocks, which alone are trained then; 0 trains everything. */
  readonly lora: number;
}

export interface StepRequest {
  readonly do: 'first' | 'step';
  /** Units that get no backward: `layers.N.attn`, `layers.N.mlp`. */
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

/** Who answers: the library with its version, and the device it runs on. */
export interface About {
  readonly library: string;
  readonly device: string;
}

export interface StepReply {
  readonly ms: number;
  readonly loss: number;
  /** Processor time in which the host's thread prepared and submitted the step; wall time where that is not measured. */
  readonly jsMs?: number;
  readonly dispatches?: number;
  /** Of forward and backward as they ran. */
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
