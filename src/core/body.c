#include "body.h"

#include <stdlib.h>

typedef struct {
  fw_body_t body;
  uint8_t* data;
} memory_body_t;

static void free_memory(fw_body_t* body) {
  free(((memory_body_t*)body)->data);
  free(body);
}

fw_body_t* fw_body_of_memory(uint8_t* data) {
  memory_body_t* kept = malloc(sizeof(*kept));
  if (kept == NULL) return NULL;
  *kept = (memory_body_t){{free_memory}, data};
  return &kept->body;
}

void fw_body_release(fw_body_t* body) {
  body->release(body);
}
