import { deepStrictEqual, match, throws } from 'node:assert/strict';
import { compileModel } from '../src/compile/compile.ts';
import { verify } from '../src/ir/verify.ts';
import { parseHfConfig } from '../src/models/checkpoint.ts';
import { logitsMode, trainingMode } from '../src/models/inputs.ts';
import { traceModel } from '../src/trace/trace.ts';
import { CPU_DEVICE } from '../test/support/tinyModels.ts';

const read = (fields: object) => parseHfConfig('config.json', JSON.stringify(fields));
const fields = {
  model_type: 'bowl',
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
};
const { model, config } = read(fields);
deepStrictEqual([config.kind, config.numLayers, config.maxPosition], ['bowl', 2, 1024]);
deepStrictEqual(read(model.configJson()).config, config);
throws(() => read({ ...fields, attention_bias: true }), /attention_bias is true, expected no such field in a bowl configuration/);

const dims = { B: 2, T: 5 };
const declared = traceModel(model.build(logitsMode(5)), { dims }).params.filter((p) => !p.table);
deepStrictEqual(
  [...model.tensors()].map(({ name, shape }) => [name, shape]),
  declared.map(({ name, shape }) => [name, shape]),
);
const training = traceModel(model.build(trainingMode(5)), { dims });
verify(training.module);
deepStrictEqual(training.units, ['layers.0.attn', 'layers.0.mlp', 'layers.1.attn', 'layers.1.mlp']);
match(JSON.stringify(declared), /model\.layers\.1\.self_attn\.q_norm\.weight/);
compileModel(training, { device: CPU_DEVICE });
