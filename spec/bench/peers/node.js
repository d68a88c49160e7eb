// Peer: Node.js. node peers/node.js echo|line|http PORT
'use strict';
const http = require('http');
const net = require('net');

function echo(socket) {
  socket.on('data', (data) => socket.write(data));
}

// The socket is corked while the lines of one read are answered, so that they leave in one call.
function line(socket) {
  let rest = Buffer.alloc(0);
  socket.on('data', (data) => {
    const bytes = rest.length > 0 ? Buffer.concat([rest, data]) : data;
    let from = 0;
    socket.cork();
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      socket.write(bytes.subarray(from, end + 1));
      from = end + 1;
    }
    socket.uncork();
    rest = bytes.subarray(from);
  });
}

function serve(kind) {
  if (kind === 'http') {
    return http.createServer({ keepAliveTimeout: 600000 }, (request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 14 });
      response.end('Hello, World!\n');
    });
  }
  const job = { echo, line }[kind];
  return net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    job(socket);
  });
}

serve(process.argv[2]).listen({ host: '127.0.0.1', port: Number(process.argv[3]), backlog: 4096 });
