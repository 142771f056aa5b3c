/* One line an event on standard error, subject first: "pull customers: finished, 10431 entities". As
 * text, or as one JSON object a line. Safe to call from any thread; a line is written whole. Texts must
 * not carry secrets or row values: the log keeps none back. Warnings and errors go to recent.h besides,
 * whatever the level. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Before the first line; the default is LOG_INFO as LOG_TEXT. */
void log_setup(enum log_level level, enum log_format format);

/* subject is what the line is about ("pull customers", "pool crm"), the rest what happened. Control
 * characters (line ends of a server's message) become spaces in text lines and escapes in JSON ones. */
void log_debug(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
