/** @file Event files: the bytes that TensorBoard's own reader was seen to read (tfevents/read.py). */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventBytes, type TensorBoardEvent } from '../../src/formats/tfevents.ts';
import { readEvents } from '../support/readEvents.ts';

const folder = join(__dirname, 'tfevents');
const golden = join(folder, 'events.out.tfevents.1.ebb');
const events = JSON.parse(readFileSync(join(folder, 'events.json'), 'utf8')) as TensorBoardEvent[];
const written = Buffer.concat(events.map(eventBytes));
if (process.env['EBB_WRITE_EVENTS'] === '1') writeFileSync(golden, written);

it('are the bytes that TensorBoard read', () => expect(written.equals(readFileSync(golden))).toBe(true));

it('are read by the reader of our tests as TensorBoard reads them', () => {
  expect(readEvents([written])).toEqual(
    new Map([
      ['eval/loss', [[0, 3.5]]],
      [
        'train/loss',
        [
          [1, 2.75],
          [200, 0],
        ],
      ],
      ['train/learning_rate', [[1, 0.000244140625]]],
    ]),
  );
  // what is torn off ends a file, and the next one goes on
  expect(readEvents([written.subarray(0, -5), Buffer.concat([eventBytes(events[0]!), eventBytes(events[3]!)])]).get('train/loss')).toEqual([
    [1, 2.75],
    [1, 2.75],
  ]);
});
