/** Writes the JSON Schemas that the package ships: `npm run schemas`. A test fails where they are stale. */
import { writeFileSync } from 'node:fs';
import { runJsonSchema } from '../src/train/runKeys.ts';

writeFileSync('schema/run.json', `${JSON.stringify(runJsonSchema(), null, 2)}\n`);
