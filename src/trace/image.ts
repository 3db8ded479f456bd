/** @file Layers for images [B, height, width, channels], of which all sizes but the batch must be known. */

import type { Dim } from '../ir/types.ts';
import { param } from './context.ts';
import { misuse } from './error.ts';
import { broadcastTo, meanOver, pad, rsqrt, square } from './math.ts';
import { add, concat, linear, mul, reshape, slice, sub, type Tensor, transpose } from './nn.ts';

interface ImageShape {
  readonly batch: Dim;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

function imageShape(x: Tensor, what: string): ImageShape {
  const [batch = 1, height, width, channels] = x.type.shape;
  if (x.type.shape.length !== 4 || typeof height !== 'number' || typeof width !== 'number' || typeof channels !== 'number')
    misuse(`${what}: an image is [batch, height, width, channels] with known sizes, found [${x.type.shape.join(', ')}]`);
  return { batch, height, width, channels };
}

/** Cuts an image [B, H, W, C] into patches [B, (H/size)·(W/size), size·size·C], a row for each. @throws TraceError if size does not divide H and W */
export function patches(x: Tensor, size: number): Tensor {
  const { batch, height, width, channels } = imageShape(x, 'patches');
  if (height % size !== 0 || width % size !== 0) misuse(`patches: ${size} must divide height and width, found ${height} and ${width}`);
  const [rows, columns] = [height / size, width / size];
  const grid = transpose(reshape(x, [batch, rows, size, columns, size, channels]), [0, 1, 3, 2, 4, 5]);
  return reshape(grid, [batch, rows * columns, size * size * channels]);
}

/** Joins patches [B, rows·columns, size·size·C] to an image [B, rows·size, columns·size, C]: the inverse of `patches`. */
export function unpatch(x: Tensor, size: number, rows: number, columns: number): Tensor {
  const [batch = 1, , width] = x.type.shape;
  const channels = Number(width) / (size * size);
  const grid = transpose(reshape(x, [batch, rows, columns, size, size, channels]), [0, 1, 3, 2, 4, 5]);
  return reshape(grid, [batch, rows * size, columns * size, channels]);
}

/** Numbers of channels, and the size of the filter. */
export interface ConvOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Height and width of the filter, odd; default 3. */
  readonly kernel?: number;
}

/**
 * Convolves an image [B, H, W, inputs], with zeros around it, to [B, H, W, outputs]. The parameters are `<name>.weight`
 * [outputs, kernel·kernel·inputs] and `<name>.bias` [outputs]: it puts the neighbours of each pixel in a row, and applies a linear layer to the rows.
 * @throws TraceError if the size of the filter is even
 */
export function conv2d(name: string, x: Tensor, { inputs, outputs, kernel = 3 }: ConvOptions): Tensor {
  const { height, width } = imageShape(x, `conv2d ${name}`);
  const around = (kernel - 1) / 2;
  if (!Number.isInteger(around)) misuse(`conv2d ${name}: kernel must be odd, found ${kernel}`);
  const padded = pad(pad(x, 1, around, around), 2, around, around);
  const shifted = Array.from({ length: kernel * kernel }, (_, i) => slice(slice(padded, 1, Math.floor(i / kernel), height), 2, i % kernel, width));
  const neighbours = shifted.length === 1 ? x : concat(shifted, 3);
  return linear(name, neighbours, { inputs: kernel * kernel * inputs, outputs, bias: true });
}

/** Makes one pixel of each square of four: [B, H, W, C] → [B, H/2, W/2, 4·C]. @throws TraceError if H or W is odd */
export function spaceToDepth(x: Tensor): Tensor {
  const { batch, height, width, channels } = imageShape(x, 'spaceToDepth');
  return reshape(patches(x, 2), [batch, height / 2, width / 2, 4 * channels]);
}

/** Repeats each pixel four times: [B, H, W, C] → [B, 2·H, 2·W, C]. */
export function upsample(x: Tensor): Tensor {
  const { batch, height, width, channels } = imageShape(x, 'upsample');
  const column = reshape(x, [batch, height, 1, width, 1, channels]);
  return reshape(broadcastTo(column, [batch, height, 2, width, 2, channels]), [batch, 2 * height, 2 * width, channels]);
}

/**
 * Group normalisation of x [B, …, C] (Wu & He 2018): each group of channels gets mean 0 and variance 1, then it is scaled by `<name>.weight` [C]
 * and shifted by `<name>.bias` [C]. All sizes but the batch must be known.
 * @throws TraceError if one is not, or `groups` does not divide C
 */
export function groupNorm(name: string, x: Tensor, groups: number, eps = 1e-5): Tensor {
  const [batch = 1, ...rest] = x.type.shape;
  const channels = Number(rest.at(-1));
  const pixels = rest.slice(0, -1).reduce<number>((product, dim) => product * Number(dim), 1);
  if (!Number.isInteger(channels / groups) || !Number.isInteger(pixels))
    misuse(`groupNorm ${name}: ${groups} groups must divide the channels of [batch, …known sizes, channels], found [${x.type.shape.join(', ')}]`);
  const width = channels / groups;
  const grouped = reshape(transpose(reshape(x, [batch, pixels, groups, width]), [0, 2, 1, 3]), [batch, groups, pixels * width]);
  const centred = sub(grouped, meanOver(grouped, [2]));
  const normal = mul(centred, rsqrt(add(meanOver(square(centred), [2]), eps)));
  const back = reshape(transpose(reshape(normal, [batch, groups, pixels, width]), [0, 2, 1, 3]), x.type.shape);
  const weight = param(`${name}.weight`, [channels], { init: { kind: 'constant', value: 1 } });
  return add(mul(back, weight), param(`${name}.bias`, [channels], { init: { kind: 'constant', value: 0 } }));
}
