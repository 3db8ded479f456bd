// Says of folders of models what their weights are stored as, what config.json says, and which files they hold.
import { readdirSync, readFileSync } from 'node:fs';

for (const folder of process.argv.slice(2)) {
  const bytes = readFileSync(`${folder}/model.safetensors`);
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
  const types = (isNorm) =>
    [
      ...new Set(
        Object.keys(header)
          .filter((n) => n !== '__metadata__' && n.includes('norm') === isNorm)
          .map((n) => header[n].dtype),
      ),
    ].join('+');
  const { dtype, eos_token_id: eos } = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8'));
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((f) =>
    f.isFile() ? [`${f.parentPath}/${f.name}`.slice(folder.length + 1)] : [],
  );
  console.log(`${folder}: ${types(false)}, norms ${types(true)}; dtype ${dtype}, eos ${eos}; ${files.sort().join(', ')}`);
}
