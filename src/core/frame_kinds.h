/* The frame kinds of the native wire: one list, from which the enum, the checks of a header, the
 * names and the table of docs/protocol.md (test/unit/protocol.test.js compares them) come. Every
 * kind goes in both directions, so the list names none. Numbers 20 to 23 are kept for what is designed
 * and not built. */
#ifndef FW_FRAME_KINDS_H
#define FW_FRAME_KINDS_H

/* The columns of a kind:
 *   name, number
 *   min, max, unit   payload bytes: from min to max, a multiple of unit
 *   flags            bits that may be set
 *   handles          descriptors that a frame owns: NO_FD none, MAY_FD none or one, ONE_FD one
 *   id               NO_ID: it is 0; IF_FD: it names the descriptor; else the rule that 0 breaks
 *   feature, gated   frames with a flag of `gated`, EVERY for all of them, need that feature
 *   end              whether it may follow END: YES or NO */
#define FW_FRAME_KINDS(KIND)                                                                     \
  KIND(HELLO, 1, FW_HELLO_SIZE, FW_HELLO_MAX_SIZE, 1, 0, NO_FD, NO_ID, 0, 0, NO)                 \
  KIND(BATCH, 2, 4, 4, 1, 0, NO_FD, NO_ID, 0, 0, YES)                                            \
  KIND(USER, 3, 0, FW_FRAME_MAX_PAYLOAD, 1, FW_FLAG_MORE | FW_FLAG_CONTINUED | FW_FLAG_SEGMENT,  \
       MAY_FD, IF_FD, FW_FEATURE_SEGMENTS, FW_FLAG_SEGMENT, NO)                                  \
  KIND(INTERNAL, 4, 0, FW_FRAME_MAX_PAYLOAD, 1, FW_FLAG_MORE | FW_FLAG_CONTINUED, MAY_FD, IF_FD, \
       0, 0, NO)                                                                                 \
  KIND(CREDIT, 5, 16, 16, 1, 0, NO_FD, NO_ID, 0, 0, YES)                                         \
  KIND(LANDED, 6, 0, 0, 1, 0, NO_FD, "ledger", 0, 0, YES)                                        \
  KIND(TAKEN, 7, 16, FW_HANDLES_MAX * 16, 16, 0, NO_FD, NO_ID, 0, 0, NO)                         \
  KIND(REFUSED, 8, 4, 4, 1, 0, NO_FD, "ledger", 0, 0, NO)                                        \
  KIND(RESEND, 9, 8, FW_HANDLES_MAX * 8, 8, 0, NO_FD, NO_ID, 0, 0, YES)                          \
  KIND(HANDLE_FD, 10, 8, 8, 1, 0, ONE_FD, "ledger", 0, 0, YES)                                   \
  KIND(WRITES_DONE, 11, 0, 0, 1, FW_FLAG_FAILED, NO_FD, "ledger", 0, 0, YES)                     \
  KIND(COUNTS, 12, 16, FW_COUNTS_MAX * 16, 16, 0, NO_FD, NO_ID, 0, 0, NO)                        \
  KIND(END, 13, 0, FW_HANDLES_MAX * 16, 16, 0, NO_FD, NO_ID, 0, 0, NO)                           \
  KIND(SEGMENT, 14, 8, 8, 1, 0, ONE_FD, "segment", FW_FEATURE_SEGMENTS, EVERY, NO)               \
  KIND(MAPPED, 15, 0, 0, 1, FW_FLAG_REFUSED, NO_FD, "segment", FW_FEATURE_SEGMENTS, EVERY, NO)   \
  KIND(SEEN, 16, 0, 0, 1, 0, NO_FD, "segment", FW_FEATURE_SEGMENTS, EVERY, NO)                   \
  KIND(RELEASED, 17, 8, FW_SEGMENTS_MAX * 8, 8, 0, NO_FD, NO_ID, FW_FEATURE_SEGMENTS, EVERY, NO) \
  KIND(UNMAP, 18, 0, 0, 1, 0, NO_FD, "segment", FW_FEATURE_SEGMENTS, EVERY, NO)                  \
  KIND(SLOT, 19, 0, 0, 1, 0, ONE_FD, NO_ID, FW_FEATURE_SLOTS, EVERY, NO)                         \
  KIND(FINISHING, 24, 8, 8, 1, 0, NO_FD, NO_ID, FW_FEATURE_FINISHING, EVERY, NO)

#endif
