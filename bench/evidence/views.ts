/** @file The settings that the page compares with each other. */

import { HIGHER_LR, higher, OTHER_RATES, RATES, SAMPLING, SAMPLINGS, WEIGHT_RATES } from './settings.ts';

/** A setting in a series of a plot or table over rates. */
interface Point {
  readonly series: string;
  readonly rate: number;
  readonly setting: string;
}

/** A comparison of settings, in a table and perhaps a plot. */
export interface View {
  /** The end of the name of its plot's file. */
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly points: readonly Point[];
  /** Settings of its table that are in no series. */
  readonly also: readonly string[];
}

const series = (name: string, rates: readonly number[], setting: (rate: number) => string): Point[] =>
  rates.map((rate) => ({ series: name, rate, setting: setting(rate) }));

const uniformAt = (rate: number, sampling: string = SAMPLING): string => `uniform-${rate}-${sampling}`;

const OTHERS = ['layerdrop', 'stochastic-depth', 'lcsb', 'lisa', 'last-k'] as const;

export const VIEWS: readonly View[] = [
  {
    id: 'rates',
    title: 'Rates, and uniform against sensitivity',
    text: '`none-as-p` drops nothing and does as many steps as cost what the others cost at rate p; its schedule ends there.',
    also: ['none', 'dropbp-0.75-optimal'],
    points: [
      ...series('fewer steps, nothing dropped', RATES, (p) => `none-as-${p}`),
      ...series('uniform', RATES, uniformAt),
      ...series('dropbp', RATES, (p) => `dropbp-${p}`),
    ],
  },
  {
    id: 'samplers',
    title: 'Samplers',
    text: 'One rate for all units, drawn by each sampler; and rates by sensitivity at 0.75.',
    also: ['none', ...SAMPLINGS.map((s) => (s === SAMPLING ? 'dropbp-0.75' : `dropbp-0.75-${s}`))],
    points: SAMPLINGS.flatMap((s) => series(s, RATES, (p) => uniformAt(p, s))),
  },
  {
    id: 'weights',
    title: 'Weights',
    text: 'Kept branches weighted by 1/(1 − rate), which makes the expected gradient the full one, or not; draws by `bernoulli`.',
    also: ['none'],
    points: [...series('no weights', WEIGHT_RATES, (p) => uniformAt(p, 'bernoulli')), ...series('weights', WEIGHT_RATES, (p) => `weighted-${p}`)],
  },
  {
    id: 'methods',
    title: 'Other methods at equal cost',
    text: 'LayerDrop and stochastic depth leave forwards out as well: their rates are such that a step costs in the mean what it costs where `uniform` drops 0.5 or 0.75. LCSB, LISA and last-k keep the share of blocks, layers or units that is closest; the cost says how close.',
    also: ['none'],
    points: [
      ...series('fewer steps, nothing dropped', OTHER_RATES, (p) => `none-as-${p}`),
      ...series('uniform', OTHER_RATES, uniformAt),
      ...OTHERS.flatMap((method) => series(method, OTHER_RATES, (p) => `${method}-${p}`)),
    ],
  },
  {
    id: 'higher-lr',
    title: 'A higher learning rate',
    text: `A unit that is dropped learns nothing in that step: whether the learning rate that suits steps with everything kept is too low for dropping. Some settings again at ${HIGHER_LR}.`,
    also: ['none', higher('none')],
    points: [
      ...series('fewer steps', OTHER_RATES, (p) => `none-as-${p}`),
      ...series(`fewer steps, lr ${HIGHER_LR}`, OTHER_RATES, (p) => higher(`none-as-${p}`)),
      ...series('uniform', OTHER_RATES, (p) => uniformAt(p)),
      ...series(`uniform, lr ${HIGHER_LR}`, OTHER_RATES, (p) => higher(uniformAt(p))),
    ],
  },
];

/** The lines of the plots over steps and over time. */
export const CURVES: readonly Point[] = [
  { series: 'nothing dropped', rate: 0, setting: 'none' },
  ...series('fewer steps, nothing dropped', RATES, (p) => `none-as-${p}`),
  ...series('uniform', RATES, (p) => uniformAt(p)),
  ...series('dropbp', RATES, (p) => `dropbp-${p}`),
];

/** Two settings that are compared seed by seed. */
export interface Pair {
  readonly question: string;
  readonly a: string;
  readonly b: string;
}

const pairs = (question: string, rates: readonly number[], a: (rate: number) => string, b: (rate: number) => string): Pair[] =>
  rates.map((rate) => ({ question, a: a(rate), b: b(rate) }));

export const PAIRS: readonly Pair[] = [
  ...pairs(
    'dropping against nothing dropped, equal steps',
    RATES,
    (p) => uniformAt(p),
    () => 'none',
  ),
  ...pairs('dropping against fewer steps, equal cost', RATES, uniformAt, (p) => `none-as-${p}`),
  ...pairs(
    `dropping against fewer steps, equal cost, lr ${HIGHER_LR}`,
    OTHER_RATES,
    (p) => higher(uniformAt(p)),
    (p) => higher(`none-as-${p}`),
  ),
  ...pairs('sensitivity against uniform', RATES, (p) => `dropbp-${p}`, uniformAt),
  { question: 'optimal against official allocation', a: 'dropbp-0.75-optimal', b: 'dropbp-0.75' },
  ...SAMPLINGS.filter((s) => s !== SAMPLING).flatMap((s) =>
    pairs(
      `${s} against ${SAMPLING}`,
      RATES,
      (p) => uniformAt(p, s),
      (p) => uniformAt(p),
    ),
  ),
  ...pairs(
    'weights against none',
    WEIGHT_RATES,
    (p) => `weighted-${p}`,
    (p) => uniformAt(p, 'bernoulli'),
  ),
  ...OTHERS.flatMap((method) => pairs(`${method} against uniform`, OTHER_RATES, (p) => `${method}-${p}`, uniformAt)),
];
