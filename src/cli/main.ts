#!/usr/bin/env node
/** @file Starts the command line. It switches on source maps before anything is loaded, so that source lines in the IR and in errors are those of TypeScript, not of dist/. */

process.setSourceMapsEnabled(true);
await import('./program.ts');

export {};
