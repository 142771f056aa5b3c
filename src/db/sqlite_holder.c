/* Who holds the write lock of a database file, for people: the kernel knows. */
#include "db/sqlite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/iso.h"

/* The bytes whose locks are the write lock: https://www.sqlite.org/fileformat2.html, "the WAL-index file
 * format" (in the file -shm), and RESERVED_BYTE in the rollback modes (in the database file). */
enum { WAL_WRITE_BYTE = 120, RESERVED_BYTE = 0x40000001 };

/* One line of /proc/locks: "3: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120". 0: no such lock. The device
 * is not looked at: where file systems lie over each other it is another than the file's. */
static int writer_in(const char *line, ino_t database, ino_t index)
{
    int pid;
    unsigned long long inode, first, last;
    if (sscanf(line, "%*d: POSIX %*s WRITE %d %*x:%*x:%llu %llu %llu", &pid, &inode, &first, &last) != 4 ||
        pid <= 0)
        return 0;
    unsigned long long byte = inode == database ? RESERVED_BYTE : WAL_WRITE_BYTE;
    return (inode == database || inode == index) && first <= byte && byte <= last ? pid : 0;
}

/* 0: the system does not tell, or not us: a process of another container. */
static int find_writer(const struct conn *conn)
{
    struct stat index = {0};
    char *name = sqlite3_mprintf("%s-shm", conn->system->path);
    if (!name || stat(name, &index) != 0)
        index.st_ino = conn->inode;
    sqlite3_free(name);
    FILE *locks = fopen("/proc/locks", "re");
    char line[256];
    int pid = 0;
    while (locks && !pid && fgets(line, sizeof line, locks))
        pid = writer_in(line, conn->inode, index.st_ino);
    if (locks)
        fclose(locks);
    return pid;
}

static void name_of(int pid, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(name, (int)size, file))
        *name = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (file)
        fclose(file);
}

void sqlite_holder(const struct conn *conn, int64_t since, char *text, size_t size)
{
    char when[ISO_SIZE], who[64] = "another program", name[32];
    int pid = find_writer(conn);
    if (pid == (int)getpid())
        snprintf(who, sizeof who, "this service");
    else if (pid) {
        name_of(pid, name, sizeof name);
        snprintf(who, sizeof who, "process %d (%s)", pid, name);
    }
    when[iso_datetime(when, since, 0, "Z")] = '\0';
    snprintf(text, size, "%s holds the write lock, which has not been free since about %s", who, when);
}
