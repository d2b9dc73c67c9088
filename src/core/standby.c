#include "standby.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <uv.h>

#define TICK_NS 1000000 /* between two looks at what is offered, while something is */
#define IDLE_TICKS 3    /* looks in vain, before it sleeps */
#define STACK_SIZE ((size_t)128 << 10)

/* Of fw_offer_t's word. */
enum { OFFERED = 1, WRITING = 2, STATE = 3 };

struct fw_standby_s {
  pthread_mutex_t lock; /* of the list */
  pthread_cond_t wake;
  pthread_t thread;
  int has_thread;
  int is_stopping;
  _Atomic int is_asleep;
  fw_offer_t* first;
};

fw_standby_t* fw_standby_new(void) {
  pthread_condattr_t attributes;
  fw_standby_t* standby = calloc(1, sizeof(*standby));
  if (standby == NULL) return NULL;
  pthread_condattr_init(&attributes);
#ifdef __linux__
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
  pthread_mutex_init(&standby->lock, NULL);
  pthread_cond_init(&standby->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  return standby;
}

void fw_standby_free(fw_standby_t* standby) {
  if (standby == NULL) return;
  pthread_mutex_lock(&standby->lock);
  standby->is_stopping = 1;
  pthread_cond_signal(&standby->wake);
  pthread_mutex_unlock(&standby->lock);
  if (standby->has_thread) pthread_join(standby->thread, NULL);
  pthread_cond_destroy(&standby->wake);
  pthread_mutex_destroy(&standby->lock);
  free(standby);
}

/* --------------------------------------------------------------- the thread */

static ssize_t write_some(const fw_offer_t* offer, size_t size) {
  int flags = MSG_DONTWAIT;
#ifdef MSG_NOSIGNAL
  flags |= MSG_NOSIGNAL;
#endif
  return send(offer->fd, offer->bytes + offer->written, size - offer->written, flags);
}

/* Whether there was something. */
static int write_offer(fw_offer_t* offer) {
  uint64_t word = atomic_load(&offer->word);
  do {
    if ((word & STATE) != OFFERED) return 0;
  } while (!atomic_compare_exchange_weak(&offer->word, &word, word - OFFERED + WRITING));
  size_t size = (size_t)(word >> 2);
  int has_some = offer->written < size;
  if (has_some) {
    ssize_t written = write_some(offer, size);
    if (written > 0) offer->written += (size_t)written;
  }
  atomic_fetch_sub(&offer->word, WRITING - OFFERED);
  return has_some;
}

static int write_offers(fw_standby_t* standby) {
  int count = 0;
  for (fw_offer_t* offer = standby->first; offer != NULL; offer = offer->next)
    count += write_offer(offer);
  return count;
}

static int has_offers(const fw_standby_t* standby) {
  for (const fw_offer_t* offer = standby->first; offer != NULL; offer = offer->next) {
    uint64_t word = atomic_load(&offer->word);
    if ((word & STATE) == OFFERED && offer->written < (size_t)(word >> 2)) return 1;
  }
  return 0;
}

/* Whoever offers looks at `is_asleep` behind that; this looks for offers behind having set it. */
static void sleep_until_offer(fw_standby_t* standby) {
  atomic_store(&standby->is_asleep, 1);
  if (!has_offers(standby))
    while (atomic_load(&standby->is_asleep) && !standby->is_stopping)
      pthread_cond_wait(&standby->wake, &standby->lock);
  atomic_store(&standby->is_asleep, 0);
}

static void wait_for_tick(fw_standby_t* standby) {
  struct timespec end;
#ifdef __linux__
  clock_gettime(CLOCK_MONOTONIC, &end);
#else
  clock_gettime(CLOCK_REALTIME, &end);
#endif
  end.tv_nsec += TICK_NS;
  if (end.tv_nsec >= 1000000000) {
    end.tv_nsec -= 1000000000;
    end.tv_sec++;
  }
  pthread_cond_timedwait(&standby->wake, &standby->lock, &end);
}

static void* run(void* data) {
  fw_standby_t* standby = data;
  int n_idle = 0;
  pthread_mutex_lock(&standby->lock);
  while (!standby->is_stopping) {
    wait_for_tick(standby);
    n_idle = write_offers(standby) > 0 ? 0 : n_idle + 1;
    if (n_idle < IDLE_TICKS || standby->is_stopping) continue;
    n_idle = 0;
    sleep_until_offer(standby);
  }
  pthread_mutex_unlock(&standby->lock);
  return NULL;
}

/* Signals are for the threads of the program. */
static int start(fw_standby_t* standby) {
  sigset_t all;
  sigset_t before;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return UV_EAGAIN;
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = pthread_create(&standby->thread, &attributes, run, standby);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (status != 0) return UV_EAGAIN;
  standby->has_thread = 1;
  return 0;
}

/* ------------------------------------------------------------- its customers */

static void wake(fw_standby_t* standby) {
  if (!atomic_load(&standby->is_asleep)) return;
  pthread_mutex_lock(&standby->lock);
  atomic_store(&standby->is_asleep, 0);
  pthread_cond_signal(&standby->wake);
  pthread_mutex_unlock(&standby->lock);
}

static void list(fw_standby_t* standby, fw_offer_t* offer) {
  if (offer->is_listed) return;
  pthread_mutex_lock(&standby->lock);
  offer->is_listed = 1;
  offer->previous = NULL;
  offer->next = standby->first;
  if (offer->next != NULL) offer->next->previous = offer;
  standby->first = offer;
  pthread_mutex_unlock(&standby->lock);
}

int fw_standby_offer(fw_standby_t* standby, fw_offer_t* offer, int fd, const uint8_t* bytes,
                     size_t size) {
  if (standby == NULL || (!standby->has_thread && start(standby) < 0)) return UV_EAGAIN;
  offer->fd = fd;
  offer->bytes = bytes;
  offer->written = 0;
  list(standby, offer);
  atomic_store(&offer->word, (uint64_t)size << 2 | OFFERED);
  wake(standby);
  return 0;
}

void fw_standby_grow(fw_standby_t* standby, fw_offer_t* offer, size_t size) {
  atomic_fetch_add(&offer->word, (uint64_t)(size - fw_offer_size(offer)) << 2);
  wake(standby);
}

size_t fw_offer_size(const fw_offer_t* offer) {
  return (size_t)(atomic_load_explicit(&offer->word, memory_order_relaxed) >> 2);
}

size_t fw_standby_take_back(fw_offer_t* offer) {
  uint64_t word = atomic_load(&offer->word);
  if (word == 0) return 0;
  for (;;) {
    if ((word & STATE) == WRITING) {
      sched_yield();
      word = atomic_load(&offer->word);
    } else if (atomic_compare_exchange_weak(&offer->word, &word, 0)) {
      return offer->written;
    }
  }
}

void fw_standby_forget(fw_standby_t* standby, fw_offer_t* offer) {
  if (!offer->is_listed) return;
  pthread_mutex_lock(&standby->lock);
  if (offer->previous != NULL) offer->previous->next = offer->next;
  else standby->first = offer->next;
  if (offer->next != NULL) offer->next->previous = offer->previous;
  offer->is_listed = 0;
  pthread_mutex_unlock(&standby->lock);
}
