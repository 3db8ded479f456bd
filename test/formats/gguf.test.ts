/** @file GGUF: a small writer here, the parser against it, and against damaged and random bytes; row order of q and k. */

import fc from 'fast-check';
import { bytesSource } from '../../src/formats/bytes.ts';
import { parseGguf } from '../../src/formats/gguf.ts';
import { unpermuteRows } from '../../src/formats/ggufRows.ts';
import { readGgufModel } from '../../src/models/checkpoint.ts';
import { llama3Factors } from '../../src/models/ggufRope.ts';
import { ggufTokenizer } from '../../src/tokenizer/gguf.ts';
import { buildTokenizer } from '../../src/tokenizer/open.ts';
import { messageOf } from './fixtureFolder.ts';
import { type GgufInput, ggufBytes, tinyLlamaGguf } from './ggufWriter.ts';

const parse = (input: GgufInput) => parseGguf(bytesSource('t.gguf', ggufBytes(input)));

describe('parsing', () => {
  it('reads back every kind of value and the tensors, in versions 2 and 3', () => {
    const metadata = { a: 3, b: -1.5, c: true, d: 'text ▁', e: ['x', 'y'], f: [1, 2.5], g: 2n ** 60n, h: [] };
    for (const version of [2, 3]) {
      const gguf = parse({
        version,
        metadata,
        tensors: [
          { name: 't', type: 0, dims: [4, 2], data: new Uint8Array(32).fill(7) },
          { name: 'u', type: 2, dims: [32], data: new Uint8Array(18) },
        ],
      });
      expect(Object.fromEntries(gguf.metadata)).toEqual(metadata);
      expect([...gguf.tensors.values()].map(({ name, type, dims, byteLength }) => ({ name, type, dims, byteLength }))).toEqual([
        { name: 't', type: 'F32', dims: [4, 2], byteLength: 32 },
        { name: 'u', type: 'Q4_0', dims: [32], byteLength: 18 },
      ]);
      expect(gguf.tensors.get('t')!.byteOffset % 32).toBe(0);
    }
  });

  it('never ends in anything but a readable error, on random and on damaged bytes', () => {
    const onlyReadableErrors = (bytes: Uint8Array): void => {
      try {
        const source = bytesSource('f', bytes);
        const gguf = parseGguf(source);
        readGgufModel(gguf, source);
        ggufTokenizer(gguf);
      } catch (error) {
        expect(error).toHaveProperty('name', 'EbbError');
      }
    };
    const valid = ggufBytes(tinyLlamaGguf());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (rest) => onlyReadableErrors(Uint8Array.of(0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, ...rest))),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat(valid.length), (edits, cut) => {
        const bytes = Uint8Array.from(valid);
        for (const [at, value] of edits) bytes[at] = value;
        onlyReadableErrors(bytes);
        onlyReadableErrors(bytes.subarray(0, cut));
      }),
      { numRuns: 1500 },
    );
  });

  it('refuses overlapping tensors and doubled keys', () => {
    const data = new Uint8Array(64);
    expect(
      messageOf(() =>
        parse({
          metadata: {},
          tensors: [
            { name: 'a', type: 0, dims: [16], data },
            { name: 'b', type: 0, dims: [16], data, offset: 32n },
          ],
        }),
      ),
    ).toContain('overlaps');
    expect(
      messageOf(() =>
        parse({
          metadata: [
            ['k', 1],
            ['k', 2],
          ],
          tensors: [],
        }),
      ),
    ).toContain('"k" occurs twice');
  });
});

describe('a llama in GGUF', () => {
  const config = (change: Record<string, unknown>, tensors?: GgufInput['tensors']) => {
    const input = tinyLlamaGguf();
    const bytes = ggufBytes({ ...input, metadata: { ...(input.metadata as Record<string, unknown>), ...change }, tensors: tensors ?? input.tensors });
    const source = bytesSource('t.gguf', bytes);
    return readGgufModel(parseGguf(source), source).config;
  };

  it('has the configuration of its keys', () => {
    expect(config({})).toEqual({
      kind: 'llama',
      vocabSize: 5,
      hiddenSize: 8,
      intermediateSize: 16,
      numLayers: 1,
      numHeads: 2,
      numKvHeads: 1,
      headDim: 4,
      rmsNormEps: 1e-5,
      ropeTheta: 10000,
      ropeScaling: null,
      attentionBias: false,
      mlpBias: false,
      tieWordEmbeddings: true,
      maxPosition: 64,
      bosTokenId: 0,
      eosTokenIds: [1],
      paddingIndex: null,
      hiddenAct: 'silu',
    });
  });

  it('refuses by name what changes the mathematics', () => {
    expect(messageOf(() => config({ 'general.architecture': 'mamba' }))).toContain('general.architecture is "mamba"');
    expect(messageOf(() => config({ 'llama.expert_count': 8 }))).toContain('llama.expert_count is 8');
    expect(messageOf(() => config({ 'llama.rope.scaling.type': 'yarn' }))).toContain('llama.rope.scaling.type is "yarn"');
    expect(messageOf(() => config({ 'llama.rope.dimension_count': 2 }))).toContain('llama.rope.dimension_count is 2');
    expect(messageOf(() => config({ 'llama.attention.head_count_kv': 3 }))).toContain('num_key_value_heads is 3');
    expect(config({ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 })).toMatchObject({ ropeScaling: { type: 'linear', factor: 4 } });
  });

  it("knows Llama 3's rope factors again, and refuses others", () => {
    const scaling = { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 } as const;
    const wide = { 'llama.attention.key_length': 128, 'llama.attention.value_length': 128, 'llama.rope.freq_base': 500000 };
    const factors = (data: Float32Array): GgufInput['tensors'] => [
      ...tinyLlamaGguf().tensors,
      { name: 'rope_freqs.weight', type: 0, dims: [64], data: new Uint8Array(data.buffer) },
    ];
    const own = llama3Factors(128, 500000, scaling);
    expect(config(wide, factors(own))).toMatchObject({ ropeScaling: scaling });
    expect(messageOf(() => config(wide, factors(own.map((x) => x ** 1.1))))).toContain('rope_freqs.weight');
  });

  it('has rows of q and k put back in order: the inverse of the converter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }), (heads, half, rowBytes) => {
        const rows = heads * half * 2;
        const original = Uint8Array.from({ length: rows * rowBytes }, (_, i) => i);
        // convert_hf_to_gguf.py: w.reshape(heads, 2, half, …).swapaxes(1, 2)
        const permuted = new Uint8Array(original.length);
        for (let h = 0; h < heads; h++)
          for (let j = 0; j < half; j++)
            for (let s = 0; s < 2; s++) {
              const from = ((h * 2 + s) * half + j) * rowBytes;
              permuted.set(original.subarray(from, from + rowBytes), ((h * half + j) * 2 + s) * rowBytes);
            }
        expect(unpermuteRows(permuted, rows, heads)).toEqual(original);
      }),
    );
  });

  it('refuses tokenizers it does not know, by name', async () => {
    const fields = (change: Record<string, unknown>) => {
      const input = tinyLlamaGguf();
      return ggufTokenizer(parse({ ...input, metadata: { ...(input.metadata as Record<string, unknown>), ...change } }));
    };
    const tokenizer = (change: Record<string, unknown>) => buildTokenizer('t', fields(change));
    expect(messageOf(() => fields({ 'tokenizer.ggml.pre': 'klingon' }))).toContain('tokenizer.ggml.pre is "klingon"');
    expect(messageOf(() => fields({ 'tokenizer.ggml.model': 'bert' }))).toContain('tokenizer.ggml.model is "bert"');
    expect(messageOf(() => fields({ 'tokenizer.ggml.eos_token_id': 99 }))).toContain('tokenizer.ggml.eos_token_id is 99');
    expect(messageOf(() => fields({ 'tokenizer.ggml.add_bos_token': 'yes' }))).toContain('tokenizer.ggml.add_bos_token is "yes", expected true or false');
    expect(messageOf(() => fields({ 'tokenizer.ggml.add_eos_token': 1 }))).toContain('tokenizer.ggml.add_eos_token is 1');
    expect((await tokenizer({})).notes).toEqual([]);
    expect((await tokenizer({ 'tokenizer.ggml.remove_extra_whitespaces': true, 'tokenizer.ggml.add_sep_token': false })).notes).toEqual([
      expect.stringContaining('tokenizer.ggml.remove_extra_whitespaces is not used'),
    ]);
    expect(await (await tokenizer({})).ids('abab')).toEqual([4, 4]);
    const [encoded] = await (await tokenizer({ 'tokenizer.ggml.add_bos_token': true })).encode(['ab'], { special: true });
    expect(encoded!.ids).toEqual([0, 4]);
  });

  it('builds a SentencePiece tokenizer out of scores', async () => {
    const tokens = [
      '<unk>',
      '<s>',
      '</s>',
      ...Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`),
      '▁',
      'a',
      'b',
      'ab',
      '▁ab',
    ];
    const input = tinyLlamaGguf();
    const scores = tokens.map((_, i) => (i < 262 ? 0 : -i));
    const gguf = parse({
      ...input,
      metadata: {
        ...(input.metadata as Record<string, unknown>),
        'tokenizer.ggml.model': 'llama',
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.scores': scores,
        'tokenizer.ggml.token_type': tokens.map((_, i) => (i < 1 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1)),
        'tokenizer.ggml.bos_token_id': 1,
        'tokenizer.ggml.eos_token_id': 2,
        'tokenizer.ggml.unknown_token_id': 0,
      },
    });
    const tokenizer = await buildTokenizer('t', ggufTokenizer(gguf));
    const [framed] = await tokenizer.encode(['ab'], { special: true });
    expect(framed!.ids.map(tokenizer.token)).toEqual(['<s>', '▁ab']);
    expect((await tokenizer.ids('ab é')).map(tokenizer.token)).toEqual(['▁ab', '▁', '<0xC3>', '<0xA9>']);
    expect(await tokenizer.decode(await tokenizer.ids('ab é'))).toBe('ab é');
    for (const wrong of [scores.slice(1), [...scores, 0]]) {
      const metadata = new Map(gguf.metadata).set('tokenizer.ggml.scores', wrong);
      expect(messageOf(() => ggufTokenizer({ ...gguf, metadata }))).toContain(
        `tokenizer.ggml.scores holds ${wrong.length} numbers, expected one for each of the ${tokens.length} tokens`,
      );
    }
  });
});
