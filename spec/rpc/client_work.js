// What a client of calls has to stand: many at once, large ones, late ones, and a server that is away for a while.
"use strict";
const { Client } = require("../../examples/rpc_client.js");

const client = new Client("127.0.0.1", Number(process.argv[2]));
const codeOf = (...words) => client.call(...words).catch((error) => error.code);

(async () => {
  const found = await Promise.all(Array.from({ length: 40 }, (_, i) => client.call("same", i)));
  console.log(found.every((value, i) => value === i) ? "True" : "False");
  const large = "x".repeat(1000000);
  console.log((await client.call("same", large)) === large ? "True" : "False", await codeOf("same", "x".repeat(1048577)),
    await codeOf("repeat", 2000000));
  console.log(await codeOf("wait", 10, 0.1), await client.call("same", "next"));
  console.log(await codeOf("quit"), await client.call("same", "again"));
  client.close();
})();
