/* The bytes of a message that its receiver keeps where they are. */
#ifndef FW_BODY_H
#define FW_BODY_H

#include <stdint.h>

#include "../forkwire.h"

/* The first member of whatever fw_message_keep() gives. */
struct fw_body_s {
  void (*release)(fw_body_t* body);
};

/* Adopts memory of malloc(); NULL without memory for it. */
fw_body_t* fw_body_of_memory(uint8_t* data);

#endif
