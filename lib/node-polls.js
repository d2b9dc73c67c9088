'use strict';

// Stock Node's wire: what this end asks a peer about the sockets that it sent there. A stock peer tells nothing by
// itself; one question per list is under way at a time, whoever waits for the answer, and none is waited for without limit.

const { clearTimeout, setTimeout } = require('./primordials');

const COUNT_LIMIT = 1000; // ms: then getConnections() is answered with what is known

class NodePolls {
  #sendNow;
  #canAsk;
  #canAnswer;
  #lists = new Map(); // key -> { list, count?, watch? }: questions under way

  /**
   * @param send(message) to the peer, without errors
   * @param canAsk () => whether the channel is open
   * @param canAnswer () => the same, and whether the peer reads what it asks for: answers must not pile up
   */
  constructor(send, canAsk, canAnswer) {
    this.#sendNow = send;
    this.#canAsk = canAsk;
    this.#canAnswer = canAnswer;
  }

  #send(message) {
    if (this.#canAsk()) this.#sendNow(message);
  }

  #questions(list) {
    let questions = this.#lists.get(list.key);
    if (!questions) {
      questions = { list };
      this.#lists.set(list.key, questions);
    }
    return questions;
  }

  #forget(questions) {
    if (!questions.count && !questions.watch) this.#lists.delete(questions.list.key);
  }

  /** Asks how many sockets of the list the peer holds; calls done() when it said, or will not. */
  count(list, done) {
    const questions = this.#questions(list);
    if (questions.count) {
      questions.count.waiting.push(done);
      return;
    }
    const timer = setTimeout(() => this.#counted(questions), COUNT_LIMIT).unref();
    questions.count = { waiting: [done], added: list.added, timer };
    this.#send({ cmd: 'NODE_SOCKET_GET_COUNT', key: list.wireKey });
  }

  #counted(questions) {
    const { waiting, timer } = questions.count;
    clearTimeout(timer);
    questions.count = undefined;
    this.#forget(questions);
    for (const done of waiting) done();
  }

  onCount(key, count) {
    const questions = this.#lists.get(key);
    if (!questions?.count || !Number.isSafeInteger(count) || count < 0) return;
    questions.list.heldThere(count, questions.count.added);
    this.#counted(questions);
  }

  /** Has the peer say when it holds none of the list any more. */
  watch(list) {
    const questions = this.#questions(list);
    if (questions.watch) return;
    questions.watch = { added: list.added };
    this.#send({ cmd: 'NODE_SOCKET_NOTIFY_CLOSE', key: list.wireKey });
  }

  onAllClosed(key) {
    const questions = this.#lists.get(key);
    if (!questions?.watch) return;
    const { added } = questions.watch;
    questions.watch = undefined;
    this.#forget(questions);
    questions.list.heldThere(0, added);
  }

  /** Answers a question of the peer. */
  answer(message) {
    if (this.#canAnswer()) this.#sendNow(message);
  }

  /** The channel ended: nobody answers any more. */
  end() {
    for (const questions of this.#lists.values()) {
      if (questions.count) this.#counted(questions);
    }
    this.#lists.clear();
  }
}

module.exports = { NodePolls };
