#include "ops/password.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { CONTROL_C = 3, CONTROL_D = 4, BACKSPACE = 8, CONTROL_U = 21, DELETE = 127, PASSWORD_MOST = 1000, WAKE_MS = 200 };

/* the terminal */

static void say(int terminal, const char *text)
{
    for (size_t len = strlen(text); len;) {
        ssize_t wrote = write(terminal, text, len);
        if (wrote <= 0)
            return;
        text += wrote;
        len -= (size_t)wrote;
    }
}

/* Takes a key. 1: more are wanted, 0: that was all, -1: never mind. */
static int take_key(char *password, size_t *len, char key)
{
    switch (key) {
    case '\r':
    case '\n':
    case CONTROL_D:
        return 0;
    case CONTROL_C:
        return -1;
    case CONTROL_U:
        *len = 0;
        return 1;
    case BACKSPACE:
    case DELETE:
        while (*len > 0 && ((unsigned char)password[--*len] & 0xC0) == 0x80)
            ;
        return 1;
    default:
        if (*len >= PASSWORD_MOST)
            return -1;
        password[(*len)++] = key;
        return 1;
    }
}

/* Is one of these signals waiting to be delivered? */
static bool is_wanted(const sigset_t *signals)
{
    static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
    sigset_t waiting;
    sigpending(&waiting);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigismember(signals, numbers[i]) && sigismember(&waiting, numbers[i]))
            return true;
    return false;
}

/* Signals that end the program wait, so that it never ends with a terminal that shows nothing. */
static int read_keys(int terminal, char *password, const sigset_t *signals)
{
    struct pollfd fd = {.fd = terminal, .events = POLLIN};
    size_t len = 0;
    int more = 1;
    while (more > 0 && !is_wanted(signals)) {
        char key;
        if (poll(&fd, 1, WAKE_MS) > 0)
            more = read(terminal, &key, 1) == 1 ? take_key(password, &len, key) : -1;
    }
    password[len] = '\0';
    return more == 0 ? 0 : -1;
}

static void say_question(int terminal, const char *whom)
{
    say(terminal, "Password of ");
    say(terminal, whom);
    say(terminal, " (empty: none): ");
}

/* Keys come one by one, unseen, and none of them is a signal. What was typed before the question is no answer. */
static int ask_hidden(int terminal, const char *whom, char *password)
{
    static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
    struct termios shown, hidden;
    sigset_t signals, before;
    if (tcgetattr(terminal, &shown))
        return -1;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&signals, numbers[i]);
    sigprocmask(SIG_BLOCK, &signals, &before);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    hidden.c_cc[VMIN] = 1;
    hidden.c_cc[VTIME] = 0;
    int failed = tcsetattr(terminal, TCSAFLUSH, &hidden);
    if (!failed) {
        say_question(terminal, whom);
        failed = read_keys(terminal, password, &signals);
    }
    tcsetattr(terminal, TCSAFLUSH, &shown);
    say(terminal, "\n");
    sigprocmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* Only where somebody sits at it: a script's standard input is none. */
static int ask_terminal(const char **reference, bool *asked, const char *whom, struct err *err)
{
    char password[PASSWORD_MOST + 1];
    int terminal = isatty(STDIN_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1;
    if (terminal < 0)
        return 0;
    int failed = ask_hidden(terminal, whom, password) ? err_set(err, ERR_CONFIG, "no password was given") : 0;
    close(terminal);
    if (!failed && *password) {
        *asked = true;
        *reference = "${" PASSWORD_VARIABLE "}";
        failed = setenv(PASSWORD_VARIABLE, password, 1) ? err_memory(err) : 0;
    }
    explicit_bzero(password, sizeof password);
    return failed;
}

/* where it comes from */

const char *password_path(const char *path, struct arena *arena)
{
    char folder[4096];
    if (*path == '/' || !getcwd(folder, sizeof folder))
        return arena_strdup(arena, path);
    return arena_printf(arena, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
}

/* A reference ends at its first brace. */
static int refer_to_file(const char **reference, const char *file, struct arena *arena, struct err *err)
{
    const char *path = password_path(file, arena);
    *reference = path ? arena_printf(arena, "${file:%s}", path) : NULL;
    if (!*reference)
        return err_memory(err);
    return strchr(path, '}') ? err_set(err, ERR_CONFIG, "the path of the password's file has a '}' in it") : 0;
}

int password_find(const char **reference, bool *asked, const char *file, const char *whom, struct arena *arena,
                  struct err *err)
{
    *reference = NULL;
    *asked = false;
    if (file)
        return refer_to_file(reference, file, arena, err);
    if (!getenv(PASSWORD_VARIABLE))
        return ask_terminal(reference, asked, whom, err);
    *reference = "${" PASSWORD_VARIABLE "}";
    return 0;
}
