/* SPDX-License-Identifier: MIT */
/*
 * resolve.c - names to addresses.  Numbers are read at once; a name may block
 * for seconds, and takes a lot of stack, so the pool does it.
 */
#include <errno.h>

#include "io/offload.h"
#include "weft/net.h"

struct question {
	const char *host, *service;
	const struct addrinfo *hints;
	struct addrinfo *answer;
	int error;
	int system_error;
};

static void *ask(void *arg)
{
	struct question *q = arg;

	q->error = getaddrinfo(q->host, q->service, q->hints, &q->answer);
	q->system_error = errno;
	return NULL;
}

static bool numeric(const struct question *q)
{
	struct addrinfo hints = {0};
	struct question plain = *q;

	if (q->hints)
		hints = *q->hints;
	hints.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
	plain.hints = &hints;
	ask(&plain);
	if (plain.error != 0)
		return false;
	freeaddrinfo(plain.answer);
	return true;
}

static int error_of(const struct question *q)
{
	switch (q->error) {
	case 0:
		return 0;
	case EAI_NONAME:
	case EAI_SERVICE:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return q->system_error ? -q->system_error : -EIO;
	case EAI_BADFLAGS:
	case EAI_FAMILY:
	case EAI_SOCKTYPE:
		return -EINVAL;
	default:
		return -EIO;
	}
}

int weft_resolve_until(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **result,
		       weft_time deadline)
{
	struct question q = {.host = host, .service = service, .hints = hints};
	int r = 0;

	if (!host && !service)
		return -ENOENT;
	if (numeric(&q))
		ask(&q);
	else
		r = wf_offload_run(ask, &q, NULL, deadline);
	if (r == 0)
		r = error_of(&q);
	if (r == 0)
		*result = q.answer;
	return r;
}

int weft_resolve(const char *host, const char *service,
		 const struct addrinfo *hints, struct addrinfo **result)
{
	return weft_resolve_until(host, service, hints, result, WEFT_FOREVER);
}
