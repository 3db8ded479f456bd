/** @file The head of a language model: logits, or the loss of next-token prediction, whose logits never exist as a whole when they are large. */

import { elements } from '../ir/types.ts';
import { activeTrace, param, recordOne, section } from '../trace/context.ts';
import { crossEntropy, matmul, meanLoss, type Tensor } from '../trace/nn.ts';
import { type ParamPart, paramParts } from '../trace/parts.ts';

/** The weight of a head. */
export interface HeadOptions {
  /** The parameter [vocabSize, hiddenSize]. */
  readonly name: string;
  /** Whether it is declared before, as the embedding. */
  readonly tied: boolean;
  readonly vocabSize: number;
  readonly hiddenSize: number;
}

/** Logits of up to so many bytes are kept for backward. Larger ones are computed again there, part by part, which costs a fourth product over the head. */
const LOGITS_KEPT = 64 * 2 ** 20;

/** How many columns of logits may be kept at the largest batch. */
function columns(targets: Tensor): number {
  const { dims, logitsKept = LOGITS_KEPT } = activeTrace().options;
  return Math.max(1, Math.floor(logitsKept / (4 * elements(targets.type.shape, dims))));
}

/**
 * The head over what `normalised` returns, [B, T, hiddenSize]: logits [B, T, vocabSize] without `targets` i32 [B, T], else the mean loss f32[].
 *
 * The loss of a large vocabulary is computed in parts of it: each part's logits give a log Σ eˣ and the target's logit, which are added
 * up; backward computes them again, part by part. Memory is that of one part (as in Wijmans et al. 2024, arXiv 2411.09009, with parts of
 * the vocabulary in place of tiles).
 */
export function languageHead({ name, tied, vocabSize, hiddenSize }: HeadOptions, normalised: () => Tensor, targets: Tensor | undefined): Tensor {
  const most = targets ? columns(targets) : vocabSize;
  if (!targets || most >= vocabSize)
    return section('head', () => {
      const logits = matmul(normalised(), param(name, [vocabSize, hiddenSize], { tied }), true);
      return targets ? crossEntropy(logits, targets) : logits;
    });
  const h = section('head', normalised);
  const parts = paramParts(name, [vocabSize, hiddenSize], most, { tied });
  const sums = parts.reduce<Sums | null>((before, part, i) => section(`head.${i}`, () => addPart(before, h, part, targets), { again: true }), null);
  if (!sums) throw new Error('internal: a vocabulary has no part');
  return section('loss', () => meanLoss(recordOne('cross_entropy_of', [...sums, targets], {}, 'losses'), targets));
}

/** log Σ eˣ and the target's logit, [B, T, 1] each. */
type Sums = readonly [lse: Tensor, picked: Tensor];

function addPart(before: Sums | null, h: Tensor, { start, read }: ParamPart, targets: Tensor): Sums {
  const logits = matmul(h, read(), true);
  const lse = recordOne('logsumexp', [logits], {}, 'lse');
  const picked = recordOne('pick', [logits, targets, activeTrace().b.constant(start, 'i32')], {}, 'picked');
  return before ? [recordOne('logaddexp', [before[0], lse], {}, 'lse'), recordOne('add', [before[1], picked], {}, 'picked')] : [lse, picked];
}
