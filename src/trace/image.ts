/** @file Layers for images, channels last: [B, height, width, channels], all sizes but the batch known. */

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

/** Image [B, H, W, C] → [B, (H/size)·(W/size), size·size·C], a row a patch. @throws TraceError when size does not divide H and W */
export function patches(x: Tensor, size: number): Tensor {
  const { batch, height, width, channels } = imageShape(x, 'patches');
  if (height % size !== 0 || width % size !== 0) misuse(`patches: ${size} must divide height and width, found ${height} and ${width}`);
  const [rows, columns] = [height / size, width / size];
  const grid = transpose(reshape(x, [batch, rows, size, columns, size, channels]), [0, 1, 3, 2, 4, 5]);
  return reshape(grid, [batch, rows * columns, size * size * channels]);
}

/** The image [B, rows·size, columns·size, C] of patches [B, rows·columns, size·size·C]: what `patches` takes apart. */
export function unpatch(x: Tensor, size: number, rows: number, columns: number): Tensor {
  const [batch = 1, , width] = x.type.shape;
  const channels = Number(width) / (size * size);
  const grid = transpose(reshape(x, [batch, rows, columns, size, size, channels]), [0, 1, 3, 2, 4, 5]);
  return reshape(grid, [batch, rows * size, columns * size, channels]);
}

/** Channels in and out, and the size of the filter. */
export interface ConvOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Height and width of the filter, odd; default 3. */
  readonly kernel?: number;
}

/**
 * A convolution [B, H, W, inputs] → [B, H, W, outputs], zeros around the image, with parameters `<name>.weight`
 * [outputs, kernel·kernel·inputs] and `<name>.bias`: the neighbours of a pixel lie in a row, and a linear layer reads them.
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

/** [B, H, W, C] → [B, H/2, W/2, 4·C]: each square of four pixels becomes one. */
export function spaceToDepth(x: Tensor): Tensor {
  const { batch, height, width, channels } = imageShape(x, 'spaceToDepth');
  return reshape(patches(x, 2), [batch, height / 2, width / 2, 4 * channels]);
}

/** [B, H, W, C] → [B, 2·H, 2·W, C], each pixel four times. */
export function upsample(x: Tensor): Tensor {
  const { batch, height, width, channels } = imageShape(x, 'upsample');
  const column = reshape(x, [batch, height, 1, width, 1, channels]);
  return reshape(broadcastTo(column, [batch, height, 2, width, 2, channels]), [batch, 2 * height, 2 * width, channels]);
}

/**
 * Group normalisation of [B, …, C] (Wu & He 2018): mean 0 and variance 1 in each group of channels, then `<name>.weight` and
 * `<name>.bias` [C]. All sizes but the batch are known.
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
