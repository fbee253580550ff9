/* floor: the least that an HTTP/1.1 reverse proxy can do, as a lower bound for
 * the measurements. One epoll loop a process, kept connections on both sides,
 * one request at a time on each connection. It finds where each message ends
 * (by Content-Length only), takes out the Connection field and forwards; it
 * does not route, log, count, time out or check. Do not use it for anything
 * else.
 *
 *     floor PORT ORIGIN_PORT WORKERS        both ports on 127.0.0.1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 16 << 10, BUF = 64 << 10, EVENTS = 512 };

struct conn {
    int fd;
    bool upstream;
    bool readable;    /* there may be something to read */
    bool ended;       /* the other end has sent its last byte */
    bool closing;     /* close when everything is written */
    bool in_body;     /* of the message being read from this connection */
    long left;        /* of that body */
    struct conn *peer; /* while a request is under way */
    struct conn *next; /* in the list of idle upstreams, or of the dead */
    char *pending;    /* to be written to this connection */
    size_t pending_len, pending_off;
    size_t head_len;  /* of an incomplete head, kept in head */
    char *head;
};

static int poller;
static struct sockaddr_in origin;
static struct conn *idle_upstreams, *dead;
static char buf[HEAD_MAX + BUF];

static void pump(struct conn *c);

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *must(void *p) {
    if (!p) die("memory");
    return p;
}

static struct conn *watch(int fd, bool upstream) {
    int one = 1;
    struct conn *c = must(calloc(1, sizeof *c));
    struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
    c->fd = fd;
    c->upstream = upstream;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev)) die("epoll_ctl");
    return c;
}

/* close_conn ends a connection and the one it works with. Its memory is freed
 * after the current events, some of which may still point to it. */
static void close_conn(struct conn *c) {
    if (c->fd < 0) return;
    close(c->fd);
    c->fd = -1;
    if (c->upstream && !c->peer)
        for (struct conn **p = &idle_upstreams; *p; p = &(*p)->next)
            if (*p == c) {
                *p = c->next;
                break;
            }
    c->next = dead;
    dead = c;
    if (c->peer) {
        struct conn *peer = c->peer;
        c->peer = peer->peer = NULL;
        close_conn(peer);
    }
}

static struct conn *take_upstream(void) {
    struct conn *c = idle_upstreams;
    if (c) {
        idle_upstreams = c->next;
        return c;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return NULL;
    if (connect(fd, (struct sockaddr *)&origin, sizeof origin) && errno != EINPROGRESS) {
        close(fd);
        return NULL;
    }
    return watch(fd, true);
}

/* put writes to c what the socket takes and keeps the rest. */
static bool put(struct conn *c, const char *p, size_t len) {
    ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN) return false;
        n = 0;
    }
    if ((size_t)n < len) {
        c->pending = must(malloc(len - n));
        memcpy(c->pending, p + n, len - n);
        c->pending_len = len - n;
        c->pending_off = 0;
    }
    return true;
}

static bool flush(struct conn *c) {
    while (c->pending) {
        ssize_t n = send(c->fd, c->pending + c->pending_off, c->pending_len - c->pending_off, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN;
        c->pending_off += n;
        if (c->pending_off == c->pending_len) {
            free(c->pending);
            c->pending = NULL;
        }
    }
    return true;
}

/* parse reads a complete head in place, takes the Connection field out, and
 * returns the new length, or 0 for what it does not understand. */
static size_t parse(struct conn *c, char *p, size_t len) {
    bool bodyless = c->upstream && len > 12 && (!memcmp(p + 9, "204", 3) || !memcmp(p + 9, "304", 3));
    bool has_length = false;
    c->left = 0;
    char *line = memchr(p, '\n', len);
    while (line && ++line < p + len - 2) {
        char *end = memchr(line, '\n', p + len - line);
        if (!end) return 0;
        if (!strncasecmp(line, "content-length:", 15)) {
            c->left = strtol(line + 15, NULL, 10);
            has_length = true;
        } else if (!strncasecmp(line, "transfer-encoding:", 18)) {
            return 0;
        } else if (!strncasecmp(line, "connection:", 11)) {
            if (!c->upstream && memmem(line, end - line, "close", 5)) c->closing = true;
            size_t cut = end + 1 - line;
            memmove(line, end + 1, p + len - end - 1);
            len -= cut;
            line--;
            continue;
        }
        line = end;
    }
    if (bodyless) c->left = 0;
    else if (c->upstream && !has_length) return 0;
    return c->left < 0 ? 0 : len;
}

/* take handles n bytes read from c into buf behind what head_len says was kept
 * of a head; false when the connection is to be closed. */
static bool take(struct conn *c, size_t n) {
    size_t head = 0, body = n, len = n;
    if (!c->in_body) {
        len += c->head_len;
        char *end = memmem(buf, len, "\r\n\r\n", 4);
        if (!end) {
            if (len >= HEAD_MAX) return false;
            if (!c->head) c->head = must(malloc(HEAD_MAX));
            memcpy(c->head, buf, len);
            c->head_len = len;
            return true;
        }
        c->head_len = 0;
        size_t whole = end + 4 - buf;
        body = len - whole;
        head = parse(c, buf, whole);
        if (!head) return false;
        memmove(buf + head, buf + whole, body);
        len = head + body;
        c->in_body = true;
        if (!c->upstream) {
            c->peer = take_upstream();
            if (!c->peer) return false;
            c->peer->peer = c;
        }
    }
    if ((long)body > c->left) return false; /* pipelined, or too much */
    c->left -= body;
    struct conn *to = c->peer;
    if (!put(to, buf, len)) return false;
    if (!c->upstream || c->left) return true;
    /* the response is complete; the request must be, too */
    if (to->left || c->pending) return false;
    c->in_body = to->in_body = false;
    c->peer = to->peer = NULL;
    c->next = idle_upstreams;
    idle_upstreams = c;
    if (to->closing && !to->pending) close_conn(to);
    else if (to->readable) pump(to);
    return true;
}

/* pump reads from c as long as its bytes can be passed on. */
static void pump(struct conn *c) {
    while (c->fd >= 0 && c->readable) {
        if (c->peer && c->peer->pending) return;                         /* goes on when that is written */
        if (!c->upstream && c->peer && c->in_body && !c->left && !c->ended) return; /* one request at a time */
        if (!c->peer && c->pending) return;
        size_t kept = c->in_body ? 0 : c->head_len;
        if (kept) memcpy(buf, c->head, kept);
        ssize_t n = read(c->fd, buf + kept, BUF);
        if (n < 0 && errno == EAGAIN) {
            c->readable = false;
            return;
        }
        if (n <= 0 || (c->upstream && !c->peer)) {
            close_conn(c);
            return;
        }
        if (n < BUF && !c->ended) c->readable = false;
        if (!take(c, n)) close_conn(c);
    }
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        watch(fd, false);
    }
}

static void turn(struct conn *c, unsigned events) {
    if (c->fd < 0) return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->ended = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->readable = true;
    if (c->pending) {
        if (!flush(c)) {
            close_conn(c);
            return;
        }
        if (!c->pending && !c->peer && c->closing) {
            close_conn(c);
            return;
        }
        if (!c->pending && c->peer) pump(c->peer);
    }
    pump(c);
}

static void serve(int port) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[EVENTS], ev = {EPOLLIN, {.ptr = NULL}};
    if (listener < 0) die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr)) die("bind");
    if (listen(listener, 4096)) die("listen");
    if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0) die("epoll_create1");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev)) die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) turn(events[i].data.ptr, events[i].events);
            else accept_all(listener);
        }
        while (dead) {
            struct conn *c = dead;
            dead = c->next;
            free(c->pending);
            free(c->head);
            free(c);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: floor PORT ORIGIN_PORT WORKERS\n");
        return 2;
    }
    origin = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 1; i < atoi(argv[3]); i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            break;
        }
    serve(atoi(argv[1]));
}
