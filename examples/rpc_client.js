// examples/rpc_client.js — calls a server of moonwire.rpc (docs/api/rpc.md) with what Node brings along.
//
//   node examples/rpc_client.js 127.0.0.1 7005 add '[2, 40]'
"use strict";
const net = require("net");

const MAX = 1048576; // bytes of a message

/** What the server says, with its code; or "timeout", "closed", "too_large". */
class RpcError extends Error {
  constructor(code, message) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/** Bytes that have come, in the pieces that they came in. */
class Unread {
  constructor() {
    this.pieces = [];
    this.size = 0;
  }

  add(piece) {
    this.pieces.push(piece);
    this.size += piece.length;
  }

  peek(size) {
    if (this.pieces[0].length < size) this.pieces = [Buffer.concat(this.pieces)];
    return this.pieces[0].subarray(0, size);
  }

  take(size) {
    const taken = this.peek(size);
    this.pieces[0] = this.pieces[0].subarray(size);
    this.size -= size;
    return taken;
  }
}

/** A connection that was lost is replaced by the next call; calls that it had in flight fail with "closed", for nobody
 * knows whether they were made. */
class Client {
  constructor(host, port, timeout = 30) {
    Object.assign(this, { host, port, timeout, last: 0, waiting: new Map(), socket: null });
  }

  open() {
    if (this.socket && !this.socket.destroyed) return;
    const socket = net.connect({ port: this.port, host: this.host, noDelay: true });
    const unread = new Unread();
    const lose = (why) => {
      if (socket === this.socket) this.fail(new RpcError("closed", why));
    };
    socket.on("data", (data) => this.read(socket, unread, data));
    socket.on("error", (error) => lose(error.message));
    socket.on("close", () => lose("the server has ended the connection"));
    this.socket = socket;
    this.greeted = false;
    this.send({ rpc: 1 });
  }

  send(message) {
    const data = Buffer.from(JSON.stringify(message));
    if (data.length > MAX) throw new RpcError("too_large", "the message is too large");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    this.socket.write(Buffer.concat([length, data]));
  }

  read(socket, unread, data) {
    unread.add(data);
    try {
      while (unread.size >= 4) {
        const size = unread.peek(4).readUInt32BE();
        if (size > MAX) throw new Error("a message is too large");
        if (unread.size < 4 + size) return;
        unread.take(4);
        this.settle(JSON.parse(unread.take(size)));
      }
    } catch (error) {
      socket.destroy(error);
    }
  }

  settle({ rpc, id, result, error }) {
    if (!this.greeted && rpc !== 1) throw new Error("another version");
    if (!this.greeted) {
      this.greeted = true;
      return;
    }
    if (id === null || id === undefined) throw new Error(error.message);
    const call = this.waiting.get(id);
    if (call && error) call.end(call.reject, new RpcError(error.code, error.message));
    else if (call) call.end(call.resolve, result);
  }

  fail(error) {
    this.socket = null;
    for (const call of this.waiting.values()) call.end(call.reject, error);
  }

  call(method, params, timeout = this.timeout) {
    return new Promise((resolve, reject) => {
      this.open();
      const id = ++this.last;
      this.send({ id, method, params });
      const end = (settle, value) => {
        clearTimeout(timer);
        this.waiting.delete(id);
        settle(value);
      };
      const timer = setTimeout(() => end(reject, new RpcError("timeout", "no reply in time")), timeout * 1000);
      this.waiting.set(id, { resolve, reject, end });
    });
  }

  notify(method, params) {
    this.open();
    this.send({ method, params });
  }

  close() {
    if (this.socket) this.socket.destroy();
  }
}

module.exports = { Client, RpcError };

if (require.main === module) {
  const [host, port, method, params] = process.argv.slice(2);
  const client = new Client(host, Number(port));
  client.call(method, params && JSON.parse(params))
    .then((result) => console.log(JSON.stringify(result)), (error) => {
      console.error(error.message);
      process.exitCode = 1;
    })
    .finally(() => client.close());
}
