// examples/rpc_client.js — calls a server of moonwire.rpc (docs/api/rpc.md) with what Node brings along.
//
//   node examples/rpc_client.js 127.0.0.1 7005 add '[2, 40]'
"use strict";
const net = require("net");

const MAX = 1048576;

class Client {
  constructor(host, port) {
    this.waiting = new Map();
    this.last = 0;
    this.unread = Buffer.alloc(0);
    this.socket = net.connect(port, host);
    this.socket.on("data", (data) => this.take(data));
    this.socket.on("error", (error) => this.fail(error));
    this.socket.on("close", () => this.fail(new Error("the server has ended the connection")));
    this.send({ rpc: 1 });
  }

  send(message) {
    const data = Buffer.from(JSON.stringify(message));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    this.socket.write(Buffer.concat([length, data]));
  }

  take(data) {
    this.unread = Buffer.concat([this.unread, data]);
    while (this.unread.length >= 4) {
      const end = 4 + this.unread.readUInt32BE();
      if (end > 4 + MAX) return this.socket.destroy(new Error("the message is too large"));
      if (this.unread.length < end) return;
      const message = JSON.parse(this.unread.subarray(4, end));
      this.unread = this.unread.subarray(end);
      this.settle(message);
    }
  }

  settle({ id, result, error }) {
    const call = this.waiting.get(id);
    this.waiting.delete(id);
    if (call && error) call.reject(new Error(`${error.code}: ${error.message}`));
    else if (call) call.resolve(result);
    else if (id === null) this.fail(new Error(error.message));
  }

  fail(error) {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  call(method, params) {
    const id = ++this.last;
    this.send({ id, method, params });
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }
}

module.exports = { Client };

if (require.main === module) {
  const [host, port, method, params] = process.argv.slice(2);
  const client = new Client(host, Number(port));
  client.call(method, params && JSON.parse(params))
    .then((result) => console.log(JSON.stringify(result)), (error) => {
      console.error(error.message);
      process.exitCode = 1;
    })
    .finally(() => client.socket.destroy());
}
