#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/recent.h"

enum { MESSAGE = 4096, LINE = 2048, STAMP = 40 };

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static enum log_level least = LOG_INFO;
static enum log_format shape = LOG_TEXT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void log_setup(enum log_level level, enum log_format format)
{
    least = level;
    shape = format;
}

/* Milliseconds, since that is what one tells events of a service apart by. */
static void print_stamp(char *stamp)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t len = strftime(stamp, STAMP, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(stamp + len, STAMP - len, ".%03ldZ", now.tv_nsec / 1000000);
}

/* How many bytes the character at text takes, 0 if it is not UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF). A NUL ends the text and so every sequence. */
static size_t character_len(const unsigned char *text)
{
    unsigned char c = text[0];
    size_t len = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((c == 0xE0 && text[1] < 0xA0) || (c == 0xED && text[1] > 0x9F))
        return 0;
    if ((c == 0xF0 && text[1] < 0x90) || (c == 0xF4 && text[1] > 0x8F))
        return 0;
    return len;
}

/* C0, DEL and C1: a terminal takes the latter for commands too. Returns the code, or -1. */
static int control_code(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7F)
        return text[0];
    return text[0] == 0xC2 && text[1] < 0xA0 ? text[1] : -1;
}

static void put_control(struct buf *line, int code)
{
    if (shape == LOG_TEXT)
        buf_putc(line, ' ');
    else if (code == '\n')
        buf_puts(line, "\\n");
    else if (code == '\t')
        buf_puts(line, "\\t");
    else
        buf_printf(line, "\\u%04x", (unsigned)code);
}

static void put_text(struct buf *line, const char *string)
{
    for (const unsigned char *text = (const unsigned char *)string; *text;) {
        size_t len = character_len(text);
        int code = len ? control_code(text) : -1;
        if (len == 0)
            buf_puts(line, "\xEF\xBF\xBD");
        else if (code >= 0)
            put_control(line, code);
        else if (shape == LOG_JSON && (*text == '"' || *text == '\\'))
            buf_printf(line, "\\%c", *text);
        else
            buf_put(line, text, len);
        text += len ? len : 1;
    }
}

static void put_line(struct buf *line, enum log_level level, const char *subject, const char *message)
{
    char stamp[STAMP];
    print_stamp(stamp);
    if (shape == LOG_TEXT) {
        buf_printf(line, "%s %s ", stamp, level_names[level]);
        put_text(line, subject);
        buf_puts(line, ": ");
        put_text(line, message);
        buf_putc(line, '\n');
        return;
    }
    buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"subject\":\"", stamp, level_names[level]);
    put_text(line, subject);
    buf_puts(line, "\",\"message\":\"");
    put_text(line, message);
    buf_puts(line, "\"}\n");
}

/* One write, unless the other end takes only a part; then the mutex keeps other lines out of this one. A
 * log that cannot be written is lost: there is nowhere to say so. */
static void write_line(const char *bytes, size_t len)
{
    pthread_mutex_lock(&mutex);
    while (len > 0) {
        ssize_t done = write(STDERR_FILENO, bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            break;
        bytes += done;
        len -= (size_t)done;
    }
    pthread_mutex_unlock(&mutex);
}

/* What is longer than a message may be ends in dots, at a whole character. */
static void cut_message(char *message, size_t size)
{
    size_t end = size - sizeof "...";
    while (end > 0 && ((unsigned char)message[end] & 0xC0) == 0x80)
        end--;
    memcpy(message + end, "...", sizeof "...");
}

static void log_line(enum log_level level, const char *subject, const char *format, va_list args)
{
    int saved = errno;
    char message[MESSAGE], memory[LINE];
    struct buf line;
    if (level < least && level < LOG_WARNING)
        return;
    int need = vsnprintf(message, sizeof message, format, args);
    if (need < 0)
        message[0] = '\0';
    else if ((size_t)need >= sizeof message)
        cut_message(message, sizeof message);
    if (level >= LOG_WARNING)
        recent_add(level, subject, message);
    if (level < least)
        return;
    buf_lend(&line, memory, sizeof memory);
    put_line(&line, level, subject, message);
    if (!buf_failed(&line))
        write_line(line.data, line.len);
    buf_free(&line);
    errno = saved;
}

void log_debug(const char *subject, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_DEBUG, subject, format, args);
    va_end(args);
}

void log_info(const char *subject, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_INFO, subject, format, args);
    va_end(args);
}

void log_warning(const char *subject, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_WARNING, subject, format, args);
    va_end(args);
}

void log_error(const char *subject, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_ERROR, subject, format, args);
    va_end(args);
}
