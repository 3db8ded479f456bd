/** Makes the file of the command line executable. */
import { chmodSync } from 'node:fs';

chmodSync('dist/cli/main.js', 0o755);
