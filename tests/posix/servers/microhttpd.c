/* SPDX-License-Identifier: MIT */
/*
 * microhttpd.c - a server of libmicrohttpd, a thread a connection.
 *
 *      microhttpd PORT
 *
 * GET /LENGTH is answered with so many bytes: the path, over and over again.
 * Listens on 127.0.0.1 until SIGTERM.  Knows nothing of weft.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST     (16UL << 20)
#define CONNECTIONS 19000
#define THREADS                                                                \
	(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |     \
	 MHD_USE_POLL)

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection,
			      const char *path, const char *method,
			      const char *version, const char *data,
			      size_t *size, void **state)
{
	size_t length = strtoul(path + 1, NULL, 10), repeat = strlen(path);
	struct MHD_Response *response;
	enum MHD_Result result;
	char *body;

	(void)arg, (void)method, (void)version, (void)data, (void)size;
	if (!*state) { /* the head has come: the next call is for the answer */
		*state = connection;
		return MHD_YES;
	}
	if (length > LONGEST || !(body = malloc(length + 1)))
		return MHD_NO;
	for (size_t i = 0; i < length; i++)
		body[i] = path[i % repeat];
	response = MHD_create_response_from_buffer(length, body,
						   MHD_RESPMEM_MUST_FREE);
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(argc > 1 ? (in_port_t)atoi(argv[1]) : 0),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct MHD_Daemon *daemon;
	sigset_t end;
	int signo;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	daemon = MHD_start_daemon(THREADS | MHD_USE_ERROR_LOG, 0, NULL, NULL,
				  answer, NULL, MHD_OPTION_SOCK_ADDR, &address,
				  MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U,
				  MHD_OPTION_CONNECTION_LIMIT,
				  (unsigned)CONNECTIONS, MHD_OPTION_END);
	if (!daemon) {
		fprintf(stderr, "microhttpd: not started\n");
		return 1;
	}
	sigwait(&end, &signo);
	MHD_stop_daemon(daemon);
	return 0;
}
