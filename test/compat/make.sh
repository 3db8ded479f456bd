#!/usr/bin/env bash
# Writes the samples of a version, with that version itself, into test/compat/VERSION:
#
#   git worktree add ../at-0.1.0 COMMIT && (cd ../at-0.1.0 && npm ci) && bash test/compat/make.sh ../at-0.1.0 0.1.0
#
# Everything runs in the checkout of the version, on SwiftShader, so that paths in what is written are those from the root of a checkout.
set -euo pipefail
checkout=$(realpath "$1")
version=$2
here=$(realpath "$(dirname "$0")")
folder=test/compat/$version

mkdir -p "$checkout/test/compat"
cd "$checkout"
rm -rf "$folder"
node "$here/inputs.mjs" "$folder"
cp -r "$here/configs" "$folder/configs"
cp "$here/small.ts" "$folder/small.ts"
sed -i "s#test/compat/VERSION#$folder#g" "$folder"/configs/*.yaml

ebb() { node dist/cli/main.js "$@"; }
export EBB_ADAPTER=swiftshader EBB_TUNE=off

# what the version reads in each run.yaml, all defaults filled in
cat > "$folder/configs/read.ts" <<'TS'
import { readdirSync, writeFileSync } from 'node:fs';
import { parseConfig } from '../../../../src/train/config.ts';
import { readRunFile } from '../../../../src/trainer/flags.ts';

for (const name of readdirSync(import.meta.dirname).filter((n) => n.endsWith('.yaml'))) {
  const file = `${import.meta.dirname}/${name}`;
  writeFileSync(file.replace(/yaml$/, 'json'), `${JSON.stringify(parseConfig(readRunFile(file), name), null, 1)}\n`);
}
TS
npx tsx "$folder/configs/read.ts"
rm "$folder/configs/read.ts"

# run folders; the newest checkpoint is taken away, as if the run had been killed before it, and its results stay to be compared with
for run in "$folder"/configs/run-*.yaml; do
  ebb train "$run"
done
for run in "$folder"/runs/*/; do
  rm -r "$(ls -d "$run"checkpoints/step-* | tail -1)"
done

# logits with what the runs wrote
mkdir "$folder/logits"
for run in "$folder"/runs/*/; do
  out=$folder/logits/$(basename "$run").safetensors
  if [ -d "${run}adapter" ]; then
    ebb forward "$folder/model" --adapter "${run}adapter" --batch "$folder/data/probe.safetensors" --out "$out"
  else
    ebb forward "${run}model" --batch "$folder/data/probe.safetensors" --out "$out"
  fi
done

# a compiled package, without what nothing reads
ebb compile "$folder/small.ts" -o "$folder/package" --target portable
rm -rf "$folder/package/node_modules" "$folder/package/ir/5-kernels.txt"

# dumps of the IR
mkdir "$folder/ir"
for stage in trace grad; do
  ebb inspect "$folder/model" --rank 3 --batch 2 --length 9 --stage $stage > "$folder/ir/adapter.$stage.ebb"
done

# a schedule book, out of an empty cache
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
XDG_CACHE_HOME=$cache EBB_TUNE=on ebb tune "$folder/model" --batch 2 --length 32
mkdir "$folder/schedules"
cp "$cache"/ebb/schedules/*.json "$folder/schedules"

rm -rf "$here/$version"
cp -r "$folder" "$here/$version"
du -sb "$here/$version"
