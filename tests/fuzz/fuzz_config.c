/* A configuration is taken, or refused with mistakes that say where. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_links(const struct config *config)
{
    for (size_t i = 0; i < config->source_count; i++) {
        const struct config_source *source = &config->sources[i];
        if (!source->system || config_source(config, source->name) != source ||
            !source->table == !source->query)
            abort();
    }
    for (size_t i = 0; i < config->system_count; i++)
        if (config_system(config, config->systems[i].name) != &config->systems[i])
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct buf mistakes = {0};
    struct err err = {0};
    if (size && memmem(data, size, "file", 4))
        return 0; /* what is read from files is no part of this, and some never end */
    if (config_parse(&config, (const char *)data, size, "fuzz", &mistakes, &err) == 0)
        check_links(config);
    else if (err.code != ERR_CONFIG || !*err.text)
        abort();
    config_free(config);
    buf_free(&mistakes);
    return 0;
}
