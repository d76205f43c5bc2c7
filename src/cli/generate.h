/*
 * What is made of the table of commands at build time: the man page and the shell's completion, so that
 * neither can lag behind the program.
 */
#ifndef CLI_GENERATE_H
#define CLI_GENERATE_H

#include <stdio.h>

/* The sections SYNOPSIS and COMMANDS of mapcrash(1), as scdoc(5). */
void generate_man(FILE *out);

/* A completion script for bash. */
void generate_completion(FILE *out);

#endif
