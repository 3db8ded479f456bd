/** @file Ready batches in files: safetensors and JSON. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateData } from '../../src/data/locate.ts';
import { readBatches } from '../../src/formats/batchesFile.ts';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { messageOf } from './fixtureFolder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-batches-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('batches', () => {
  const ids = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  it('are the same from JSON and safetensors', () => {
    const json = readBatches(
      file(
        'b.json',
        JSON.stringify({
          input_ids: ids,
          labels: [
            [-100, 2, 3],
            [4, 5, 6],
          ],
          attention_mask: null,
          other: 'x',
        }),
      ),
    );
    const path = join(folder, 'b.safetensors');
    writeSafetensors(path, [
      { name: 'input_ids', dtype: 'I64', shape: [2, 3], data: BigInt64Array.from(ids.flat().map(BigInt)) },
      { name: 'labels', dtype: 'I32', shape: [2, 3], data: Int32Array.of(-100, 2, 3, 4, 5, 6) },
      { name: 'other', dtype: 'F32', shape: [1], data: new Float32Array(1) },
    ]);
    expect(readBatches(path)).toEqual(json);
    expect(json).toEqual({
      steps: 1,
      batch: 2,
      length: 3,
      inputIds: Int32Array.of(1, 2, 3, 4, 5, 6),
      labels: Int32Array.of(-100, 2, 3, 4, 5, 6),
      attentionMask: null,
      unused: ['other'],
    });
    expect(readBatches(file('c.json', JSON.stringify({ input_ids: [ids, ids] })))).toMatchObject({ steps: 2, batch: 2, length: 3, labels: null });
    expect(locateData(path).kind).toBe('batches');
    expect(locateData(file('d.json', JSON.stringify({ input_ids: ids }))).kind).toBe('batches');
  });

  it.each([
    [{ labels: ids }, 'input_ids is missing'],
    [{ input_ids: [[1, 2], [3]] }, 'equal length'],
    [{ input_ids: [1, 2] }, 'shape [2]'],
    [{ input_ids: [[]] }, 'shape [1, 0]'],
    [{ input_ids: ids, labels: [[1, 2, 3]] }, 'labels has shape [1, 3]'],
    [
      {
        input_ids: ids,
        attention_mask: [
          [1, 1, 2],
          [1, 1, 1],
        ],
      },
      'attention_mask has 2',
    ],
    [{ input_ids: [[1.5]] }, 'input_ids holds 1.5'],
    [{ input_ids: ids, token_type_ids: ids }, 'holds token_type_ids, which the models that Ebb trains on batches do not take'],
    [{ input_ids: ids, weights: ids }, 'holds weights, which'],
    [{ input_ids: ids, inputs_embeds: [[[1]]] }, 'holds inputs_embeds, which'],
    [{ input_ids: ids, position_ids: [[0, 1, 2]] }, 'position_ids has shape [1, 3]'],
  ])('%j are refused: %s', (content, message) => {
    expect(messageOf(() => readBatches(file('bad.json', JSON.stringify(content))))).toContain(message);
  });
});
