'use strict';

// What `npm run mutate` breaks, one at a time: { file, find, replace, breaks, tests? }. `find` stands in the file
// once. `tests` are those of test/ that are to notice, by the name of the file without its ending; where there
// are none, those of the file that are below.

/** Tests of a file of src/core: programs of test/core. All others of these run after them. */
const TESTS_OF = {
  'src/core/ancillary.c': ['core/ancillary_test', 'core/violation_test'],
  'src/core/buffer.c': ['core/buffer_test'],
  'src/core/channel.c': ['core/ends_test', 'core/violation_test'],
  'src/core/control.c': ['core/violation_test', 'core/ends_test'],
  'src/core/ends.c': ['core/ends_test'],
  'src/core/fd_kind.c': ['core/fd_kind_test'],
  'src/core/frame.c': ['core/frame_test'],
  'src/core/keys.c': ['core/keys_test'],
  'src/core/ledger.c': ['core/ledger_test', 'core/read_queue_test'],
  'src/core/node_frame.c': ['core/node_frame_test'],
  'src/core/node_reader.c': ['core/node_reader_test'],
  'src/core/node_writer.c': ['core/node_writer_test'],
  'src/core/read_queue.c': ['core/read_queue_test', 'core/violation_test'],
  'src/core/segment.c': ['core/segment_pool_test'],
  'src/core/segment_map.c': ['core/segment_pool_test', 'core/violation_test'],
  'src/core/segment_pool.c': ['core/segment_pool_test'],
  'src/core/slot.c': ['core/slot_test'],
  'src/core/write_queue.c': ['core/write_queue_test'],
};

const LEDGER = [
  {
    find: 'if (id <= ledger->landed_id || id > ledger->sent_id) return "ledger";',
    replace: 'if (id > ledger->sent_id) return "ledger";',
    breaks: 'LANDED may go back',
  },
  {
    find: 'if (id <= ledger->landed_id || id > ledger->sent_id) return "ledger";',
    replace: 'if (id <= ledger->landed_id) return "ledger";',
    breaks: 'LANDED may name what was never sent',
  },
  {
    find: 'if (is_awaited(ledger, first, end)) return "ledger";',
    replace: '',
    breaks: 'LANDED may pass a descriptor that was asked for again',
  },
  {
    find: 'if (!range_is_open(ledger, fw_range_decode(ranges, i), &index)) return "ledger";',
    replace: '(void)index;',
    breaks: 'TAKEN of what is not open is no violation',
  },
  {
    find: 'if (is_awaited(ledger, i, i + 1)) return "ledger";',
    replace: '',
    breaks: 'REFUSED may name a descriptor that was asked for again',
  },
  {
    find: 'if (sent == NULL || sent->state != FW_STATE_SENT || sent->resend) return',
    replace: 'if (sent == NULL || sent->resend) return',
    breaks: 'RESEND may name a descriptor that landed',
  },
  {
    find: 'if (id != ledger->received_id + 1) rule = "handle-id";',
    replace: 'if (id <= ledger->received_id) rule = "handle-id";',
    breaks: 'ids of handles may skip some',
  },
  {
    find: 'return ledger->n_received + unreported >= FW_HANDLES_MAX;',
    replace: 'return ledger->n_received + 0 * unreported >= FW_HANDLES_MAX;',
    breaks: 'handles that are answered and not reported use no credit',
  },
  {
    find: 'entry->state == FW_STATE_LANDED && id > ledger->landed_reported;',
    replace: 'entry->state == FW_STATE_LANDED;',
    breaks: 'a handle that LANDED passed is given up',
  },
  {
    find: '!entry->asked || entry->inode != inode) {',
    replace: '!entry->asked || 0 * inode) {',
    breaks: 'HANDLE_FD may have the inode of another file',
  },
  {
    find: 'if (!is_as_declared(*fd, entry->inode, entry->kind, entry->type)) {',
    replace: 'if (*fd < -1) {',
    breaks: 'HANDLE_FD may bring another descriptor than was declared',
  },
  {
    find: 'if (sent->id != 0 && sent->block.kind == FW_FD_TCP) fw_fd_linger_off(sent->fd);',
    replace: '',
    breaks: 'a socket that came back is closed with the linger that its peer set',
    tests: ['core/ledger_test', 'hostile/stalls'],
  },
  {
    find: 'if (sent->owned) fw_fd_close(&sent->fd);\n  ledger->on_settled',
    replace: 'ledger->on_settled',
    breaks: 'the duplicate of what is settled stays open',
  },
  {
    find: 'if (info.inode != inode || info.kind',
    replace: 'if (0 * inode || info.kind',
    breaks: 'a handle may be another than its block declares',
  },
  {
    find: 'type == FW_HANDLE_BOUND) return !info.listening;',
    replace: 'type == FW_HANDLE_BOUND) return 1;',
    breaks: 'a listening socket may come as a connection',
  },
  {
    find: 'if (type == FW_HANDLE_SERVER) return info.listening;',
    replace: '',
    breaks: 'a connection may come as a server',
  },
  {
    find: 'ledger->landed_stop = entry->id;',
    replace: '{}',
    breaks: 'LANDED passes a handle that was discarded while it was asked for',
  },
  {
    find: '++entry->n_barred == FW_BARRED_MAX',
    replace: '++entry->n_barred == FW_BARRED_MAX + 5',
    breaks: 'what may not be received is asked for more than three times',
  },
  {
    find: 'if (entry->kind == FW_FD_TCP) fw_fd_linger_off(fd);',
    replace: '',
    breaks: 'whoever adopts a socket may close it with its sender linger',
    tests: ['core/ledger_test', 'hostile/stalls'],
  },
  {
    find: 'if (entry != NULL && !entry->asked) fw_ledger_refuse(ledger, id, FW_REFUSED_ENDING);',
    replace: 'if (entry != NULL) fw_ledger_refuse(ledger, id, FW_REFUSED_ENDING);',
    breaks: 'a handle that was asked for again is refused before its answer',
  },
  {
    find: 'return !has_writes(sent) || ledger->n_writes_sent < FW_WRITES_MAX;',
    replace: 'return 1;',
    breaks: 'more handles with unsent writes leave than the peer counts',
  },
  {
    find: 'i < ledger->n_received && asked < room; i++)',
    replace: 'i < ledger->n_received && asked <= room; i++)',
    breaks: 'more descriptors are asked for than there is room for',
  },
  {
    find: 'for (; i > 0 && ledger->resend_ids[i - 1] > id; i--)',
    replace: 'for (; i > ledger->n_resend_ids; i--)',
    breaks: 'the ids of RESEND do not ascend',
  },
  {
    find: 'if (sent->resend == 1) ledger->n_resend--;',
    replace: '',
    breaks: 'a settled handle is still to be sent again',
  },
].map((each) => ({ file: 'src/core/ledger.c', ...each }));

const READ_QUEUE = [
  {
    find: 'if (total > queue->max_message_size) return "too-large";',
    replace: '',
    breaks: 'a message may be larger than maxMessageSize',
  },
  {
    find: 'if (has_total && (total == 0 || total < frame->size - FW_TOTAL_SIZE)) return "total";',
    replace: 'if (has_total && total == 0) return "total";',
    breaks: 'the first piece may be longer than the message',
  },
  {
    find: '(message->total - prefix_size(message)) % 2 != 0)\n    return "encoding";',
    replace: '(message->total - prefix_size(message)) % 2 > 1)\n    return "encoding";',
    breaks: 'a UTF-16 text may have half of a unit',
  },
  {
    find: 'if (continued && frame->encoding != lane->partial.encoding) return "sequence";',
    replace: '',
    breaks: 'a piece may have another encoding than the one before',
  },
  {
    find: 'if (continued != lane->is_partial) return "sequence";',
    replace: 'if (continued && !lane->is_partial) return "sequence";',
    breaks: 'a message may begin within another of its lane',
  },
  {
    find: 'if (lane->received + FW_FRAME_HEADER_SIZE + frame->size > lane->limit) return "credit";',
    replace: '',
    breaks: 'a peer may send more than its credit',
  },
  {
    find: 'if (message->block.buffered > message->total - FW_BLOCK_SIZE) return "handle-block";',
    replace: '',
    breaks: 'the bytes of a socket may be more than the message',
  },
  {
    find: 'if (body > left || (body == left) == ((frame->flags & FW_FLAG_MORE) != 0))',
    replace: 'if (body > left)',
    breaks: 'a message may end before its total, or go on behind it',
  },
  {
    find: 'return there < most ? most - there : 0;',
    replace: 'return there + most > 0;',
    breaks: 'descriptors without a frame are not charged to the credit',
  },
  {
    find: 'if (!is_waiting || header_may_come) return 0;',
    replace: 'if (is_waiting || !header_may_come) return 0;',
    breaks: 'descriptors may come without a BATCH frame',
  },
  {
    find: 'int is_too_many = set->has_room && set->count >= fw_read_queue_fd_room(queue);',
    replace: 'int is_too_many = 0;',
    breaks: 'more descriptors than the credit are no violation',
  },
  {
    find: 'rule = fw_frame_admit(&frame, &queue->stream);',
    replace: 'rule = NULL;',
    breaks: 'frames of features that were not negotiated are acted on',
  },
  {
    find: 'if (queue->refused_encodings & (1u << frame->encoding)) return "encoding";',
    replace: '',
    breaks: "V8's format is decoded for a peer that is not trusted",
    tests: ['core/read_queue_test', 'integration/limits'],
  },
  {
    find: 'if (capacity > message->total) capacity = message->total;',
    replace: 'capacity = message->total;',
    breaks: 'memory is taken because a length was announced',
  },
  {
    find: 'if (limit < lane->wanted) return "limit";',
    replace: '',
    breaks: 'FINISHING may take back what it asked for',
  },
  {
    find: 'return queue->is_paused || is_held_up(queue, which) || is_missing(queue, inbound);',
    replace: 'return queue->is_paused || is_held_up(queue, which);',
    breaks: 'a message comes without its descriptor, which is missing',
  },
  {
    find: 'if (user == NULL || user->number > internal->number) return FW_LANE_INTERNAL;',
    replace: 'if (user == NULL) return FW_LANE_INTERNAL;',
    breaks: 'messages that waited come in another order',
  },
  {
    find: 'if (inbound->mapped != NULL) fw_mapped_drop(inbound->mapped);',
    replace: '',
    breaks: 'the segment of a message that was dropped never goes back',
  },
  {
    find: 'if (queue->dropping) fw_ledger_drop(queue->ledger, frame->id);',
    replace: '',
    breaks: 'a handle that comes at an end is not given back',
    tests: ['core/read_queue_test', 'core/ends_test', 'integration/disconnect', 'integration/ends'],
  },
].map((each) => ({ file: 'src/core/read_queue.c', ...each }));

const CONTROL = [
  {
    find: 'if (hello.max_message_size < channel->options.max_message_size) return "limit";',
    replace: '',
    breaks: "a peer's HELLO may allow less than it was told",
    tests: ['core/violation_test', 'integration/limits'],
  },
  {
    find:
      'if (user < lanes[FW_LANE_USER].limit || internal < lanes[FW_LANE_INTERNAL].limit) ' +
      'return "limit";',
    replace: '',
    breaks: 'CREDIT may take credit back',
  },
  {
    find: 'if (rule == NULL && queue->has_slot) rule = "slot";',
    replace: '',
    breaks: 'a peer may offer a second slot',
  },
  {
    find: 'channel->in.stream.features = features(channel) & hello.features;',
    replace: 'channel->in.stream.features = hello.features;',
    breaks: 'the peer alone decides on the features',
    tests: ['core/violation_test', 'hostile/shared-memory'],
  },
  {
    find: 'return channel->has_sender ? channel->sender : fw_maker(channel->fd);',
    replace: 'return channel->peer.pid;',
    breaks: "HELLO's pid is believed",
    tests: ['core/violation_test', 'integration/peer-pid'],
  },
  {
    find: 'if (id <= ledger->landed_reported) return;',
    replace: '',
    breaks: 'LANDED is said again',
  },
  {
    find: 'if (queue->dropping && fw_ledger_find(queue->ledger, frame->id) == NULL) {',
    replace: 'if (queue->dropping && frame->id == 0) {',
    breaks: 'a descriptor that was asked for, and is not wanted any more, is a violation',
    tests: [
      'core/violation_test',
      'core/ends_test',
      'integration/protocol-peer',
      'integration/ends',
    ],
  },
  {
    find: 'if (reason == FW_REFUSED_ENDING) fw__channel_tell_ending(channel);',
    replace: '',
    breaks: 'REFUSED that says the end does not tell it',
    tests: ['core/ends_test', 'integration/ends'],
  },
].map((each) => ({ file: 'src/core/control.c', ...each }));

const ENDS = [
  {
    file: 'src/core/ends.c',
    find: 'channel->holds > 0 || channel->ledger.n_adopted > 0) return;',
    replace: 'channel->holds > 0) return;',
    breaks: "the peer's END overtakes servers that are not usable yet",
    tests: ['core/ends_test', 'integration/ends'],
  },
  {
    file: 'src/core/ends.c',
    find: 'if (fw_read_queue_is_holding(&channel->in)) return;',
    replace: '',
    breaks: "the peer's END overtakes messages that wait for descriptors",
    tests: ['core/ends_test', 'integration/ends'],
  },
  {
    file: 'src/core/ends.c',
    find: 'if (channel->waits == FW_WAIT_HANDLES) limit *= HANDLES_STALLS;',
    replace: '',
    breaks: 'handles that are not answered wait as short as all else',
  },
  {
    file: 'src/core/ends.c',
    find: '      give_up_peer(channel);\n      break;',
    replace: '      break;',
    breaks: 'a peer that refuses handles since it ends, and does not, is a ghost',
  },
  {
    file: 'src/core/ends.c',
    find:
      'int is_through = channel->bytes_read == before || channel->bytes_read >= ' +
      'channel->drain_end;',
    replace: 'int is_through = channel->bytes_read == before;',
    breaks: 'who holds the channel of a dead peer goes on talking',
    tests: ['core/ends_test', 'hostile/floods'],
  },
  {
    file: 'src/core/ends.c',
    find: 'int is_over = fw__channel_read(channel, FW_READ_BUDGET, FW_MESSAGE_BUDGET);',
    replace: 'int is_over = fw__channel_read(channel, FW_NO_LIMIT, FW_NO_LIMIT);',
    breaks: 'what a dead peer left is read in one turn',
    tests: ['core/ends_test', 'hostile/floods'],
  },
  {
    file: 'src/core/ends.c',
    find: 'fw__channel_take_back(channel);\n    fw__wire_cut(channel);',
    replace: '',
    breaks: 'what did not leave in time leaves behind END',
  },
  {
    file: 'src/core/flush.c',
    find:
      'if (now >= channel->flush_total_at || now >= channel->flush_stall_at) ' +
      'channel->is_given_up = 1;',
    replace: 'if (now >= channel->flush_stall_at) channel->is_given_up = 1;',
    breaks: 'an exit has no limit where its peer makes progress',
    tests: ['integration/exit-flush'],
  },
  {
    file: 'src/core/flush.c',
    find: 'if (channel->flush_stall_at == 0 || has_progress)',
    replace: 'if (channel->flush_stall_at == 0)',
    breaks: 'progress does not prolong an exit',
    tests: ['integration/exit-flush'],
  },
  {
    file: 'src/core/flush.c',
    find: 'return channel->ledger.n_resend == 0 && fw_ledger_all_landed(&channel->ledger);',
    replace: 'return 1;',
    breaks: 'a process exits before its handles have landed',
    tests: ['integration/exit-flush', 'integration/ends'],
  },
  {
    file: 'src/core/descendant.c',
    find: 'if (is_descendant(pid)) return fd;',
    replace: 'if (is_descendant(pid) || pid > 0) return fd;',
    breaks: 'a process that is no descendant is watched',
    tests: ['integration/peer-pid'],
  },
  {
    file: 'src/core/channel_state.h',
    find: 'channel->n_received++;',
    replace: '',
    breaks: 'messages count for no budget',
    tests: ['core/ends_test', 'core/violation_test', 'hostile/floods'],
  },
];

const CHANNEL = [
  {
    find: 'if (fw__channel_is_too_large(channel, whole)) return UV_EMSGSIZE;',
    replace: '',
    breaks: 'more than maxMessageSize is sent',
    tests: ['integration/limits'],
  },
  {
    find: 'if (is_queue_full(channel, lane, whole)) return UV_ENOBUFS;',
    replace: '',
    breaks: 'maxQueueBytes bounds nothing',
    tests: ['integration/limits'],
  },
  {
    find: 'return value > most ? most : value;',
    replace: 'return value;',
    breaks: 'options beyond their range are taken',
    tests: ['core/violation_test', 'core/ends_test', 'integration/limits'],
  },
  {
    find: 'if (channel->is_dead) events = 0;',
    replace: 'if (channel->is_dead && channel->is_eof) events = 0;',
    breaks: 'a flood on the channel of a dead peer is polled for',
    tests: ['core/ends_test', 'hostile/floods'],
  },
  {
    find: 'return written < unseen ? written : unseen - 1;',
    replace: 'return written;',
    breaks: 'a callback comes before the peer has seen a message in shared memory',
    tests: ['core/violation_test', 'core/ends_test', 'integration/large-messages'],
  },
].map((each) => ({ file: 'src/core/channel.c', ...each }));

const WRITING = [
  {
    file: 'src/core/write_queue.c',
    find:
      'return node->sent != NULL && node->sent->moved && !node->is_begun &&\n         ' +
      'fw_fd_is_reset(node->sent->fd);',
    replace: 'return node->sent != NULL && node->is_begun && 0 * fw_fd_is_reset(node->sent->fd);',
    breaks: 'a socket whose client went away is sent',
  },
  {
    file: 'src/core/write_queue.c',
    find: 'if (!fw_ledger_has_credit(queue->ledger, node->sent)) return UV_EAGAIN;',
    replace: '',
    breaks: 'handles are sent without credit',
  },
  {
    file: 'src/core/write_queue.c',
    find: 'if (FW_FRAME_HEADER_SIZE + frame.size > credit_left(lane)) return 0;',
    replace: '',
    breaks: 'large messages are sent without credit',
  },
  {
    file: 'src/core/write_queue.c',
    find: 'if (size + FW_FRAME_HEADER_SIZE + frame.size > credit) break;',
    replace: '(void)credit;',
    breaks: 'small messages are sent without credit',
  },
  {
    file: 'src/core/write_queue.c',
    find: 'if (queue->n_set == FW_SET_MAX) return UV_EAGAIN;',
    replace: '',
    breaks: 'more descriptors are laid out than one call sends',
  },
  {
    file: 'src/core/write_queue.c',
    find: 'if (internal != NULL && lane->n_laid + count == internal->after) break;',
    replace: '(void)internal;',
    breaks: 'user messages overtake an internal one that was sent before them',
  },
  {
    file: 'src/core/write_queue.c',
    find: 'if (lane->n_laid > lane->n_written) return -1;',
    replace: '',
    breaks: 'a message that is dropped counts before those that are still to be written',
  },
  {
    file: 'src/core/write_queue.c',
    find: 'if (!is_first && queue->keeps_order) return 0;',
    replace: '(void)is_first;',
    breaks: 'the last internal message overtakes user messages',
    tests: ['core/write_queue_test', 'integration/finishing'],
  },
  {
    file: 'src/core/ancillary.c',
    find: 'if (count == 0 || count > FW_SET_MAX || count < set->count) return "batch";',
    replace: 'if (count == 0 || count > FW_SET_MAX) return "batch";',
    breaks: 'BATCH may announce fewer descriptors than came',
  },
  {
    file: 'src/core/ancillary.c',
    find: 'if (count > set->count && !set->truncated) return "batch";',
    replace: '',
    breaks: 'BATCH may announce descriptors that did not come',
  },
  {
    file: 'src/core/ancillary.c',
    find: 'if (!set->announced || set->owed == 0) return "unowned";',
    replace: 'if (!set->announced) return "unowned";',
    breaks: 'a frame may own a descriptor that was not announced',
  },
  {
    file: 'src/core/ancillary.c',
    find: 'if (ret_set->truncated) ret_set->has_room',
    replace: 'if (0 * ret_set->truncated) ret_set->has_room',
    breaks: 'what may not be received is taken for a lack of descriptors',
    tests: ['core/ancillary_test', 'integration/barred'],
  },
  {
    file: 'src/core/frame.c',
    find: 'if (frame->flags != FW_FLAG_SEGMENT) return "reserved";',
    replace: '',
    breaks: 'a frame of a segment may be a piece',
  },
  {
    file: 'src/core/frame.c',
    find: 'if (frame->size != FW_SEGMENT_REF_SIZE) return "size";',
    replace: '',
    breaks: 'a reference to a segment may have any size',
  },
  {
    file: 'src/core/keys.c',
    find:
      'entry->closed = count > UINT64_MAX - entry->closed ? UINT64_MAX : entry->closed + ' +
      'count;',
    replace: 'entry->closed += count;',
    breaks: 'counts overflow',
  },
  {
    file: 'src/core/fd_kind.c',
    find: 'if (closes_at_once(*fd)) fw_fd_linger_off(*fd);',
    replace: 'if (closes_at_once(*fd)) fw_fd_is_reset(*fd);',
    breaks: "close() of a peer's socket waits for its linger",
  },
  {
    file: 'src/core/fd_kind.c',
    find: 'else if (fw_closer_add(*fd) == 0) *fd = -1;',
    replace: '',
    breaks: "close() of a peer's file waits for its file system",
  },
  {
    file: 'src/core/fd_kind.c',
    find: 'if (!linger.l_onoff || linger.l_linger == 0) return;',
    replace: 'if (!linger.l_onoff) return;',
    breaks: 'a socket that is to be reset is ended',
  },
];

const SEGMENTS = [
  {
    file: 'src/core/segment.c',
    find: 'if (fstatfs(fd, &system) != 0 || system.f_type != TMPFS_MAGIC) return UV_EINVAL;',
    replace: 'if (fstatfs(fd, &system) != 0) return UV_EINVAL;',
    breaks: 'memory of another file system is mapped',
  },
  {
    file: 'src/core/segment.c',
    find: 'unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;',
    replace: 'unsigned int flags = MFD_ALLOW_SEALING;',
    breaks: 'other programs inherit segments',
  },
  {
    file: 'src/core/segment.c',
    find: 'if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS) return UV_EINVAL;',
    replace: 'if (seals < 0) return UV_EINVAL;',
    breaks: 'a segment may shrink: SIGBUS',
  },
  {
    file: 'src/core/segment.c',
    find: 'if ((uint64_t)status.st_blocks * BLOCK_SIZE < size) return UV_EINVAL;',
    replace: '',
    breaks: 'a segment may have holes that this end pays for',
  },
  {
    file: 'src/core/segment.c',
    find: '|| (uint64_t)status.st_size != size) return UV_EINVAL;',
    replace: '|| 0 * size) return UV_EINVAL;',
    breaks: 'a segment may be smaller than it is said to be',
  },
  {
    file: 'src/core/segment_map.c',
    find: 'if (fd < 0 || map->bytes + size > map->max_bytes) return 0;',
    replace: 'if (fd < 0) return 0;',
    breaks: 'more is mapped than the limits say',
  },
  {
    file: 'src/core/segment_map.c',
    find: 'if (size == 0 || size > mapped->size) return "segment";',
    replace: 'if (size == 0) return "segment";',
    breaks: 'a message may be longer than its segment',
  },
  {
    file: 'src/core/segment_map.c',
    find:
      'const char* fw_segment_map_hold(fw_segment_map_t* map, uint64_t id, uint64_t ' +
      'size,\n                                fw_mapped_t** ret_mapped) {\n  int i = ' +
      'find(map, id);\n  if (i < 0 || map->entries[i]->state != FW_MAPPED_FREE) return',
    replace:
      'const char* fw_segment_map_hold(fw_segment_map_t* map, uint64_t id, uint64_t ' +
      'size,\n                                fw_mapped_t** ret_mapped) {\n  int i = ' +
      'find(map, id);\n  if (i < 0) return',
    breaks: 'two messages may be in one segment',
  },
  {
    file: 'src/core/segment_map.c',
    find: 'if (id != map->last_id + 1 || map->answer_id != 0) return "segment";',
    replace: 'if (map->answer_id != 0) return "segment";',
    breaks: 'an id of a segment may come twice',
  },
  {
    file: 'src/core/segment_map.c',
    find: 'if (populate(mapped, (size_t)size) < 0) return "segment";',
    replace: 'populate(mapped, (size_t)size);',
    breaks: 'pages that cannot be had are looked at',
  },
  {
    file: 'src/core/segment_pool.c',
    find: 'if (number <= pool->n_seen || number > pool->n_sent) return "segment";',
    replace: 'if (number > pool->n_sent) return "segment";',
    breaks: 'SEEN may go back',
  },
  {
    file: 'src/core/segment_pool.c',
    find: 'if (segment->state != FW_SEGMENT_FILLED || segment->number == 0) return "segment";',
    replace: 'if (segment->state != FW_SEGMENT_FILLED) return "segment";',
    breaks: 'RELEASED may name a segment whose message was not laid out',
  },
  {
    file: 'src/core/segment_pool.c',
    find: 'see(pool, pool->n_sent);',
    replace: '',
    breaks: 'what was not seen counts behind a cut',
    tests: ['core/segment_pool_test', 'core/write_queue_test', 'core/ends_test'],
  },
  {
    file: 'src/core/segment_pool.c',
    find: 'if (i < 0 || pool->segments[i]->state != FW_SEGMENT_OFFERED) return "segment";',
    replace: 'if (i < 0) return "segment";',
    breaks: 'MAPPED may name what is mapped already',
  },
];

const NODE_WIRE = [
  {
    file: 'src/core/node_reader.c',
    find: 'return fds->set.present && fds->start <= offset && offset < fds->end;',
    replace: 'return fds->set.present && fds->start <= offset;',
    breaks: 'a later message owns a descriptor that came with another',
  },
  {
    file: 'src/core/node_reader.c',
    find: 'return reader->undelivered >= reader->max_undelivered;',
    replace: 'return reader->undelivered > UINT64_MAX - 1;',
    breaks: 'a stock peer may send more than credit.bytes',
  },
  {
    file: 'src/core/node_writer.c',
    find:
      'return writer->head != NULL && writer->flight == NULL && ' +
      '!waits_for_writes(writer->head);',
    replace: 'return writer->head != NULL && !waits_for_writes(writer->head);',
    breaks: 'two handles are in flight',
  },
  {
    file: 'src/core/node_writer.c',
    find: 'return message->sent->moved && fw_fd_is_reset(message->sent->fd);',
    replace: 'return 0;',
    breaks: 'a socket whose client went away is sent to a stock peer',
  },
  {
    file: 'src/core/node_writer.c',
    find: '    if (each->sent != NULL) break;',
    replace: '',
    breaks: 'a handle leaves without its descriptor',
  },
  {
    file: 'src/core/node_wire.c',
    find: 'wire->n_barred = fd == FW_FD_BARRED ? wire->n_barred + 1 : 0;',
    replace: 'wire->n_barred = 0 * fd;',
    breaks: 'what may not be received is answered with NACK for ever',
    tests: ['integration/barred'],
  },
  {
    file: 'src/core/node_wire.c',
    find: 'if (wire->owes_ack && has_room(ledger) &&',
    replace: 'if (wire->owes_ack &&',
    breaks: 'a stock peer sends more handles than may wait for a listener',
    tests: ['integration/node-wire-receiver'],
  },
];

const JAVASCRIPT = [
  {
    file: 'lib/channel.js',
    find: 'if (sent === undefined) return;',
    replace: '',
    breaks: 'what is settled for an unknown token ends the process',
    tests: ['unit/channel', 'integration/foreign-code'],
  },
  {
    file: 'lib/channel.js',
    find: 'travel?.undo?.();\n      if (lane',
    replace: 'if (lane',
    breaks: 'a socket that was not accepted has lost its timeout',
    tests: ['integration/foreign-code'],
  },
  {
    file: 'lib/channel.js',
    find: 'else nextTick(() => this.#returned(travel, message, lane));',
    replace: 'else travel.taken();',
    breaks: 'a handle that nobody took does not come back',
    tests: ['integration/ledger'],
  },
  {
    file: 'lib/inbox.js',
    find: 'if (handle !== undefined) this.#arrivals().refuse(handle);\n      return;',
    replace: 'return;',
    breaks: 'a handle of an internal message that nobody wants stays',
    tests: ['unit/inbox', 'integration/ledger', 'integration/cluster-handover'],
  },
  {
    file: 'lib/inbox.js',
    find: '    this.#isWaiting = true;\n',
    replace: '',
    breaks: 'messages overtake a server that is not usable yet',
    tests: ['unit/inbox', 'integration/ends', 'integration/handoff'],
  },
  {
    file: 'lib/arrivals.js',
    find: 'this.#native.taken(id);',
    replace: '',
    breaks: 'the sender does not hear that its handle was taken',
    tests: ['unit/arrivals'],
  },
  {
    file: 'lib/arrivals.js',
    find:
      'if (this.#written.size > MAX_WRITTEN) ' +
      'this.#written.delete(this.#written.keys().next().value);',
    replace: '',
    breaks: 'a peer has us remember writes without an end',
    tests: ['unit/arrivals'],
  },
  {
    file: 'lib/arrivals.js',
    find: 'reportEach([...this.#gates.values()].map((gate) => () => this.#openGate(gate, true)));',
    replace: '',
    breaks: 'a socket whose sender died waits for its writes for ever',
    tests: ['unit/arrivals', 'integration/sockets-transfer'],
  },
  {
    file: 'lib/bookkeeping.js',
    find: 'else relay.remove(1);',
    replace: '',
    breaks: 'a socket that was handed on and came back counts for ever',
    tests: ['unit/bookkeeping'],
  },
  {
    file: 'lib/bookkeeping.js',
    find: 'sent.takeBack(socket);\n      return;',
    replace: 'return;',
    breaks: 'a connection that came back is not counted by its server',
    tests: ['unit/bookkeeping', 'integration/handoff'],
  },
  {
    file: 'lib/socket-list.js',
    find: 'if (this.isClosing && !this.#owner.isDrained(this.polls)) return;',
    replace: '',
    breaks: 'a server is closed while it has connections of its own',
    tests: ['unit/socket-list', 'integration/handoff'],
  },
  {
    file: 'lib/moved-socket.js',
    find: 'if (buffered?.length > 0) socket.unshift(buffered);',
    replace: '',
    breaks: 'bytes that were read before the send are lost',
    tests: ['integration/sockets-transfer'],
  },
  {
    file: 'lib/node-protocol.js',
    find: 'if (msg === undefined || isOwn(msg)) return 0;',
    replace: 'if (msg === undefined) return 0;',
    breaks: "a handle may come with one of the channel's own messages",
    tests: ['integration/node-wire-receiver'],
  },
  {
    file: 'lib/cluster-handover.js',
    find: 'return isPlain && values(getOwnPropertyDescriptors(message)).every(isData);',
    replace: 'return true;',
    breaks: 'a getter runs behind the commit',
    tests: ['unit/outbox', 'integration/foreign-code', 'integration/cluster-handover'],
  },
];

const BINDING = [
  {
    file: 'src/binding/bodies.cc',
    find: '|| (is_parsed && message.is_shared))',
    replace: '|| (is_parsed && message.size == 0))',
    breaks: 'values are decoded from memory that the peer can write to',
    tests: ['hostile/shared-memory', 'integration/large-messages'],
  },
  {
    file: 'src/binding/options.cc',
    find: 'core.owns_handles = BitsAt(env, given, "ownsHandles") != 0;',
    replace: 'core.owns_handles = 0;',
    breaks: "a Worker's moved sockets are sent by a borrowed number",
    tests: ['integration/worker-threads', 'unit/binding'],
  },
  {
    file: 'src/binding/batch.cc',
    find: 'return !message.is_shared && message.lane == FW_LANE_USER &&',
    replace: 'return message.lane == FW_LANE_USER &&',
    breaks: 'what is joined may change behind the look at it',
    tests: ['hostile/shared-memory', 'integration/low-latency'],
  },
];

const MUTATIONS = [
  ...LEDGER,
  ...READ_QUEUE,
  ...CONTROL,
  ...ENDS,
  ...CHANNEL,
  ...WRITING,
  ...SEGMENTS,
  ...NODE_WIRE,
  ...JAVASCRIPT,
  ...BINDING,
].map((each) => ({ ...each, tests: each.tests ?? TESTS_OF[each.file] }));

module.exports = { MUTATIONS };
