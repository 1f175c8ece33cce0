/* SPDX-License-Identifier: MIT */
/*
 * names.h - the functions of libc that stand behind hooks and regions, and
 * where they are declared.
 */
#ifndef WF_POSIX_NAMES_H
#define WF_POSIX_NAMES_H

#include <aio.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <resolv.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <setjmp.h>
#include <wordexp.h>

/* What no header declares, or not yet. */
struct sched_attr;

int pidfd_spawn(int *pidfd, const char *path,
		const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attr, char *const argv[],
		char *const envp[]);
int pidfd_spawnp(int *pidfd, const char *file,
		 const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attr, char *const argv[],
		 char *const envp[]);
_Noreturn void __longjmp_chk(struct __jmp_buf_tag env[1], int value);
int sched_setattr(pid_t thread, struct sched_attr *attr, unsigned flags);
int __mq_open_2(const char *name, int flags);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int _IO_getc(FILE *f);
char *gets(char *s);
char *__gets_chk(char *s, size_t size);
char *__fgets_chk(char *s, size_t size, int n, FILE *f);
char *__fgets_unlocked_chk(char *s, size_t size, int n, FILE *f);
size_t __fread_chk(void *to, size_t room, size_t size, size_t n, FILE *f);
size_t __fread_unlocked_chk(void *to, size_t room, size_t size, size_t n,
			    FILE *f);
int __isoc99_vfscanf(FILE *f, const char *format, va_list args);
int __isoc23_vfscanf(FILE *f, const char *format, va_list args);

/* What the checks of _FORTIFY_SOURCE end in. */
_Noreturn void __chk_fail(void);

/* clang-format off */
#define WF_THREAD_NAMES(X)                                                     \
	X(pthread_create) X(pthread_join) X(pthread_detach) X(pthread_exit)    \
	X(pthread_tryjoin_np) X(pthread_timedjoin_np) X(pthread_clockjoin_np)  \
	X(pthread_setcanceltype) X(pthread_cancel) X(pthread_kill)             \
	X(pthread_sigqueue)                                                    \
	X(pthread_sigmask) X(pthread_key_create) X(pthread_key_delete)         \
	X(pthread_getattr_np) X(pthread_getschedparam)                         \
	X(pthread_setschedparam) X(pthread_setschedprio)                       \
	X(pthread_getaffinity_np) X(pthread_setaffinity_np)                    \
	X(pthread_getname_np) X(pthread_setname_np)                            \
	X(pthread_getcpuclockid) X(timer_create) X(nice)

#define WF_LOCK_NAMES(X)                                                       \
	X(pthread_mutex_lock) X(pthread_mutex_trylock)                         \
	X(pthread_mutex_timedlock) X(pthread_mutex_clocklock)                  \
	X(pthread_mutex_unlock) X(pthread_mutex_setprioceiling)                \
	X(pthread_cond_wait) X(pthread_cond_timedwait)                         \
	X(pthread_cond_clockwait) X(pthread_cond_signal)                       \
	X(pthread_cond_broadcast) X(pthread_rwlock_rdlock)                     \
	X(pthread_rwlock_tryrdlock) X(pthread_rwlock_timedrdlock)              \
	X(pthread_rwlock_clockrdlock) X(pthread_rwlock_wrlock)                 \
	X(pthread_rwlock_trywrlock) X(pthread_rwlock_timedwrlock)              \
	X(pthread_rwlock_clockwrlock) X(pthread_rwlock_unlock)                 \
	X(pthread_barrier_destroy) X(pthread_barrier_wait) X(pthread_spin_lock)\
	X(pthread_spin_trylock) X(pthread_once) X(sem_wait) X(sem_trywait)     \
	X(sem_timedwait) X(sem_clockwait) X(sem_post) X(sem_getvalue)          \
	X(thrd_create) X(thrd_join) X(thrd_detach) X(thrd_exit) X(thrd_sleep)  \
	X(thrd_yield) X(mtx_lock) X(mtx_trylock) X(mtx_timedlock) X(mtx_unlock)\
	X(cnd_wait) X(cnd_timedwait) X(cnd_signal) X(cnd_broadcast)            \
	X(tss_create) X(tss_delete) X(call_once)

#define WF_IO_NAMES(X)                                                         \
	X(read) X(write) X(readv) X(writev) X(pread) X(pwrite) X(pread64)      \
	X(pwrite64) X(preadv) X(pwritev) X(preadv64) X(pwritev64) X(preadv2)   \
	X(pwritev2) X(preadv64v2) X(pwritev64v2) X(recv) X(recvfrom)           \
	X(recvmsg) X(recvmmsg) X(send) X(sendto) X(sendmsg) X(sendmmsg)        \
	X(accept) X(accept4) X(connect) X(shutdown) X(close) X(closefrom)      \
	X(close_range) X(dup) X(dup2) X(dup3) X(socket) X(socketpair)          \
	X(pipe) X(pipe2) X(open) X(open64) X(openat) X(openat64) X(creat)      \
	X(creat64) X(fcntl) X(fcntl64) X(ioctl) X(setsockopt) X(eventfd)       \
	X(eventfd_read) X(eventfd_write) X(timerfd_create) X(signalfd)         \
	X(inotify_init) X(inotify_init1) X(epoll_create) X(epoll_create1)      \
	X(memfd_create) X(sendfile) X(sendfile64) X(splice) X(tee)             \
	X(vmsplice) X(copy_file_range) X(fsync) X(fdatasync) X(poll)           \
	X(ppoll) X(select) X(pselect) X(epoll_wait) X(epoll_pwait)             \
	X(epoll_pwait2) X(flock) X(lockf) X(lockf64) X(fopen) X(fopen64)       \
	X(fdopen) X(freopen) X(freopen64) X(fclose) X(fcloseall) X(popen)      \
	X(pclose) X(opendir) X(closedir) X(tcdrain) X(mq_open) X(mq_close)     \
	X(mq_send) X(mq_timedsend) X(mq_receive) X(mq_timedreceive)            \
	X(msgsnd) X(msgrcv) X(semop) X(semtimedop)

#define WF_LASTING_NAMES(X)                                                    \
	X(aio_suspend) X(lio_listio) X(gai_suspend) X(syncfs) X(sync)          \
	X(msync) X(sync_file_range) X(tcsetattr) X(tcsendbreak)               \
	X(__mq_open_2) X(__open_2) X(__open64_2) X(__openat_2)                 \
	X(__openat64_2) X(pidfd_spawn) X(pidfd_spawnp) X(sched_setattr)

#define WF_TIME_NAMES(X)                                                       \
	X(nanosleep) X(clock_nanosleep) X(usleep) X(sleep) X(sched_yield)

#define WF_SIGNAL_NAMES(X)                                                     \
	X(sigaction) X(sigprocmask) X(sigsuspend) X(sigpending) X(sigwait)     \
	X(sigwaitinfo) X(sigtimedwait) X(sigaltstack) X(pause) X(raise)        \
	X(tgkill) X(__sigsetjmp) X(longjmp) X(_longjmp) X(siglongjmp)          \
	X(__longjmp_chk) X(signal) X(sysv_signal)

#define WF_PROCESS_NAMES(X)                                                    \
	X(fork) X(_Fork) X(vfork) X(execve) X(execv) X(execvp) X(execvpe)      \
	X(fexecve) X(execveat) X(posix_spawn) X(posix_spawnp) X(system)        \
	X(wordexp) X(wait) X(waitpid) X(wait3) X(wait4) X(waitid) X(daemon)    \
	X(setuid) X(setgid) X(seteuid) X(setegid) X(setreuid) X(setregid)      \
	X(setresuid) X(setresgid) X(setgroups) X(initgroups) X(prctl)          \
	X(unshare) X(setns) X(sched_setaffinity) X(sched_getaffinity)          \
	X(sched_setscheduler) X(sched_getscheduler) X(sched_setparam)          \
	X(sched_getparam) X(sched_rr_get_interval) X(setpriority)              \
	X(getpriority) X(getrusage)                                            \
	X(setfsuid) X(setfsgid) X(syscall) X(exit) X(_exit)

#define WF_NET_NAMES(X)                                                        \
	X(getaddrinfo) X(getnameinfo) X(gethostbyname) X(gethostbyname2)       \
	X(gethostbyaddr) X(gethostbyname_r) X(gethostbyname2_r)                \
	X(gethostbyaddr_r) X(res_query) X(res_search) X(res_querydomain)       \
	X(res_send) X(res_nquery) X(res_nsearch) X(res_nquerydomain)           \
	X(res_nsend)

#define WF_USER_NAMES(X)                                                       \
	X(getpwnam) X(getpwuid) X(getpwnam_r) X(getpwuid_r) X(getgrnam)        \
	X(getgrgid) X(getgrnam_r) X(getgrgid_r) X(getgrouplist)

#define WF_STREAM_NAMES(X)                                                     \
	X(fgetc) X(fgetc_unlocked) X(__uflow) X(fgets) X(fgets_unlocked)       \
	X(__fgets_chk) X(__fgets_unlocked_chk) X(gets) X(__gets_chk)           \
	X(getdelim) X(fread) X(fread_unlocked) X(__fread_chk)                  \
	X(__fread_unlocked_chk) X(vfscanf) X(__isoc99_vfscanf)                 \
	X(__isoc23_vfscanf) X(flockfile) X(getpass)
/* clang-format on */

#define WF_LIBC_NAMES(X)                                                       \
	WF_THREAD_NAMES(X)                                                     \
	WF_LOCK_NAMES(X)                                                       \
	WF_IO_NAMES(X)                                                         \
	WF_LASTING_NAMES(X)                                                    \
	WF_TIME_NAMES(X)                                                       \
	WF_SIGNAL_NAMES(X)                                                     \
	WF_PROCESS_NAMES(X)                                                    \
	WF_NET_NAMES(X)                                                        \
	WF_USER_NAMES(X)                                                       \
	WF_STREAM_NAMES(X)

#endif
