/* What a configuration may say: tables of keys, from which the parser, the search for unknown keys and the
 * documentation all work. A key is described once, in the file of the part it belongs to. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"

struct path;
struct reader;
struct section;

/* The JSON a key takes, and the C it is kept as. */
enum key_type {
    KEY_TEXT,     /* a string, not empty: const char * */
    KEY_SECRET,   /* a string, may be empty: const char * */
    KEY_LINES,    /* a string or a list of lines, joined by line ends: const char * */
    KEY_LIST,     /* a list of strings: struct config_list */
    KEY_NAMES,    /* a string or a list of strings, not empty: struct config_list */
    KEY_UNSIGNED, /* a whole number: unsigned */
    KEY_SIZE,     /* a whole number: size_t */
    KEY_NUMBER,   /* a number: double */
    KEY_BOOL,     /* true or false: bool */
    KEY_CHOICE,   /* one of some words: an enum; -1 where a required one was not understood */
    KEY_SWITCH,   /* one of two words: bool */
    KEY_VALUE,    /* a scalar: struct config_value */
    KEY_VALUES,   /* a scalar or a list of scalars, not empty: struct config_value * and a count */
    KEY_PAIRS,    /* an object of strings: struct config_pair * and a count */
    KEY_OBJECT,   /* an object of section's keys, kept in a struct at that place */
    KEY_OBJECTS,  /* a list of such objects: pointer and count */
    KEY_MAP,   /* an object of such objects by name: pointer and count; the name is each one's first member */
    KEY_OTHER, /* read by a function of its own */
    KEY_IGNORED, /* Sesam's own, and it makes no difference here */
    KEY_REFUSED, /* Sesam's own, and it cannot be had here; false is as good as absent */
};

struct choice {
    const char *word; /* NULL ends a list */
    int value;
};

/* Where a key's value goes when it is only checked. */
#define NOWHERE SIZE_MAX

struct key {
    const char *name;
    enum key_type type;
    bool required;
    bool secret;     /* never shown */
    size_t at;       /* offset in the section's struct, or NOWHERE */
    size_t count_at; /* KEY_VALUES, KEY_PAIRS, KEY_OBJECTS, KEY_MAP: offset of the size_t */
    size_t told_at;  /* offset of a bool that says the key was written; 0: none */
    double min, max; /* numbers; max 0: as much as the C type holds */
    const struct choice *choices;
    const struct section *section;
    int (*read)(struct reader *reader, const struct path *path, json_t *value, void *place);
    unsigned databases; /* bits of 1 << enum config_database that know the key; 0: all */
    const char *def;    /* the default as JSON text; NULL: none */
    const char *kind;   /* for the documentation where the type does not say it */
    const char *shown;  /* the default's words for the documentation where JSON does not say it */
    const char *help;
};

struct section {
    const char *title; /* for the documentation: "sources.NAME" */
    const char *help;
    const struct key *keys; /* until a name of NULL */
    size_t size;            /* of its struct, for lists and maps */
    /* What no single key can tell; NULL: nothing. target may be NULL (only checked). */
    int (*check)(struct reader *reader, const struct path *path, json_t *object, void *target);
};

extern const struct section section_root, section_listen, section_system, section_source, section_sink, section_lock,
    section_column;

/* NULL when the section has no such key. */
const struct key *schema_find(const struct section *section, const char *name);

/* The key that was probably meant, or NULL. Never one that does nothing. */
const struct key *schema_nearest(const struct section *section, const char *name);

/* The word for a type as people say it: "string or list". */
const char *schema_type(const struct key *key);

#endif
