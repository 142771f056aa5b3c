#include "db/relation.h"

#include <string.h>

#include "base/nearest.h"

size_t relation_find(const struct relation *relation, const char *name)
{
    for (size_t i = 0; i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

int relation_lacks(const struct relation *relation, const char *name, const char *key, struct err *err)
{
    struct nearest nearest;
    err_set(err, ERR_CHANGED, "%s has no column '%s', which %s names", relation->title, name, key);
    nearest_begin(&nearest, name);
    for (size_t i = 0; i < relation->column_count; i++)
        nearest_offer(&nearest, relation->columns[i].name);
    if (nearest_found(&nearest))
        return err_hint(err, "did you mean '%s'?", nearest_found(&nearest));
    return err_hint(err, "look for the column's name in the configuration");
}
