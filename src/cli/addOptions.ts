/** @file What a command's file gives. */

import type { Command } from 'commander';

/** Adds a command's arguments, options and action to it. */
export type AddOptions = (command: Command) => Command;
