#include "closer.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include <uv.h>

#define WAITING_MAX 4096
#define THREADS_MAX 4
#define STACK_SIZE ((size_t)256 << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int waiting[WAITING_MAX];
static size_t n_waiting;
static size_t n_threads;

/* The next one to close, or -1: then the thread ends, and is counted no more. */
static int next_or_end(void) {
  int fd = -1;
  pthread_mutex_lock(&lock);
  if (n_waiting > 0) fd = waiting[--n_waiting];
  else n_threads--;
  pthread_mutex_unlock(&lock);
  return fd;
}

static void* close_all(void* unused) {
  int fd;
  (void)unused;
  while ((fd = next_or_end()) >= 0) close(fd);
  return NULL;
}

/* Signals are for the threads of the program. */
static int start_thread(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all;
  sigset_t before;
  if (pthread_attr_init(&attributes) != 0) return 0;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = pthread_create(&thread, &attributes, close_all, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return status == 0;
}

int fw_closer_add(int fd) {
  pthread_mutex_lock(&lock);
  if (n_waiting == WAITING_MAX) {
    pthread_mutex_unlock(&lock);
    return UV_ENOBUFS;
  }
  waiting[n_waiting++] = fd;
  /* Where there can be no thread, it waits for the next one that comes. */
  if (n_threads < THREADS_MAX && start_thread()) n_threads++;
  pthread_mutex_unlock(&lock);
  return 0;
}

int fw_closer_is_stuck(void) {
  pthread_mutex_lock(&lock);
  int is_stuck = n_waiting >= FW_CLOSER_MANY;
  pthread_mutex_unlock(&lock);
  return is_stuck;
}
