/** @file A head that config.json ties to the embedding, and that the files hold all the same: settled as transformers 5 settles it. */

import { show } from './bytes.ts';
import type { JsonObject } from './json.ts';
import type { TiedHead } from './layout.ts';
import { readFloats, readTensor, type SafetensorsFile } from './safetensors.ts';

/** How a stored head is to the stored embedding: `none` where not both are stored, `unknown` where their data is not all there. */
export type HeadBeside = 'none' | 'equal' | 'different' | 'unknown';

/** Compares the head that the files hold with the embedding. @throws EbbError where they cannot be read */
export type CompareHead = (head: TiedHead) => HeadBeside;

/** What is said where no files are opened. */
export const NO_HEAD: CompareHead = () => 'none';

/** Bytes that are compared at once. */
const PIECE = 4 * 2 ** 20;

/** A tensor, and the file that holds it. */
interface Stored {
  readonly name: string;
  readonly file: SafetensorsFile;
}

function isWhole({ name, file }: Stored): boolean {
  const info = file.tensors.get(name);
  return info !== undefined && info.byteOffset + info.byteLength <= file.size;
}

function sameBytes(a: Stored, b: Stored, byteLength: number): boolean {
  for (let offset = 0; offset < byteLength; offset += PIECE) {
    const length = Math.min(PIECE, byteLength - offset);
    const [one, other] = [a, b].map(({ name, file }) => readTensor(file, name, offset, length));
    if (one && other && Buffer.compare(one, other) !== 0) return false;
  }
  return true;
}

/** Whether two tensors have one shape and the same values, as far as their types can hold these. */
function sameValues(a: Stored, b: Stored): boolean {
  const [one, other] = [a.file.tensors.get(a.name), b.file.tensors.get(b.name)];
  if (!one || !other || one.shape.join() !== other.shape.join()) return false;
  if (one.dtype === other.dtype) return sameBytes(a, b, one.byteLength);
  const floats = readFloats(b.file, b.name);
  return readFloats(a.file, a.name).every((x, i) => x === floats[i]);
}

/** Compares among tensors, each with the file that holds it. @param absent tensors whose file is not there */
export function compareHead(files: ReadonlyMap<string, SafetensorsFile>, absent: ReadonlyMap<string, string>): CompareHead {
  return ({ name, embedding }) => {
    const names = [[name], embedding].map((all) => all.find((one) => files.has(one) || absent.has(one)));
    if (names.includes(undefined)) return 'none';
    const [head, table] = names.flatMap((one): Stored[] => {
      const file = one === undefined ? undefined : files.get(one);
      return one !== undefined && file ? [{ name: one, file }] : [];
    });
    if (!head || !table || !isWhole(head) || !isWhole(table)) return 'unknown';
    return sameValues(head, table) ? 'equal' : 'different';
  };
}

/** What config.json says of the tie, in words. */
export function tieText({ tie_word_embeddings: tied }: JsonObject): string {
  return `tie_word_embeddings is ${tied === undefined || tied === null ? 'missing, which means true' : show(tied)}`;
}

/** What is said of a head that is stored beside a tie: that it is used, or that it cannot be compared yet. */
export function headNotes(fields: JsonObject, { name, embedding: [table = 'the embedding'] }: TiedHead, beside: HeadBeside): string[] {
  const says = `${tieText(fields)}, and the files hold ${name}`;
  if (beside === 'different')
    return [`${says} with other values than ${table}: it is used, untied, as transformers does; set tie_word_embeddings to false in config.json`];
  return beside === 'unknown' ? [`${says}: it is taken to be ${table} until its data is there to compare`] : [];
}
