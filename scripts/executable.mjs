/** The command line is a program: its file gets the executable bit. */
import { chmodSync } from 'node:fs';

chmodSync('dist/cli/main.js', 0o755);
