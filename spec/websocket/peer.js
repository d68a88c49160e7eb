// The other end of a WebSocket, by ws for Node, for specs. The same as peer.py.
const { WebSocket, WebSocketServer } = require('ws');

const text = (size) => 'x'.repeat(size);
const messages = ['', 'hello', 'größe κόσμε', Buffer.alloc(0), Buffer.from([0, 255, 254]), text(125), text(126),
  Buffer.alloc(65535, 1), Buffer.alloc(65536, 1), text(500000)];

function fail(why) {
  console.log(why);
  process.exit(1);
}

function talk(url, perMessageDeflate, done) {
  const ws = new WebSocket(url, 'echo', { perMessageDeflate });
  const expected = [...messages, 'one two three'];
  ws.on('open', () => {
    if (ws.protocol !== 'echo' || (ws.extensions !== '') !== (perMessageDeflate !== false)) fail('the handshake');
    messages.forEach((message) => ws.send(message));
    ws.send('one ', { fin: false });
    ws.send('two ', { fin: false });
    ws.send('three', { fin: true });
    ws.ping('are you there?');
  });
  ws.on('message', (data, isBinary) => {
    const wanted = expected.shift();
    if (isBinary !== (typeof wanted !== 'string') || !data.equals(Buffer.from(wanted))) fail('a message');
    if (expected.length === 0) ws.close(3001, 'enough');
  });
  let pongs = 0;
  ws.on('pong', () => { pongs += 1; });
  ws.on('close', (code) => (code === 3001 && pongs === 1 ? done() : fail(`code ${code}, ${pongs} pongs`)));
  ws.on('error', (error) => fail(error.stack));
}

if (process.argv[2] === 'serve') {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } }, () => {
    console.log(server.address().port);
  });
  server.on('connection', (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })));
} else {
  const url = process.argv[3];
  talk(url, false, () => talk(url, { threshold: 0 }, () =>
    talk(url, { threshold: 0, clientNoContextTakeover: true, serverNoContextTakeover: true, serverMaxWindowBits: 9 },
      () => console.log('good'))));
}
