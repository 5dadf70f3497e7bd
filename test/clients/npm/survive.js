// npm's etcd3 at work while members of the cluster are killed; says on its standard output what it did and saw, in the lines that README in the
// folder above describes.
//
//	node survive.js PREFIX ENDPOINT,ENDPOINT,... [AUTHORITY CERTIFICATE KEY]
//
// test/clients/npm/survive.js
'use strict';

const fs = require('fs');
const readline = require('readline');
const { Etcd3 } = require('etcd3');

const ATTEMPT_MS = 3000;
const KEYS = 20;
const PAUSE_MS = 10;

let stopping = false;

function say(...words) {
  process.stdout.write(words.join(' ') + '\n');
}

function pause() {
  return new Promise(resolve => setTimeout(resolve, PAUSE_MS));
}

// Tries until it works; undefined: it was told to stop before.
async function attempt(what, perform) {
  for (;;) {
    try {
      return await perform();
    } catch (error) {
      say('error', what, String(error.message).replace(/\s+/g, ' '));
    }
    if (stopping) return undefined;
    await pause();
  }
}

async function write(client, prefix) {
  for (let n = 1; !stopping; n++) {
    const key = `${prefix}/k/${n % KEYS}`;
    await attempt('put', async () => say('put', key, n, (await client.put(key).value(String(n)).exec()).header.revision));
    await attempt('get', async () => {
      const kv = (await client.get(key).exec()).kvs[0];
      say('got', key, kv ? kv.value : '-', kv ? kv.mod_revision : 0);
    });
    await attempt('txn', () => count(client, `${prefix}/k/count`));
    await pause();
  }
}

// Adds one to a number, unless somebody else changes it meanwhile.
async function count(client, key) {
  const kv = (await client.get(key).exec()).kvs[0];
  const value = String(kv ? Number(kv.value) + 1 : 1);
  const done = await client.if(key, 'Mod', '==', kv ? kv.mod_revision : 0).then(client.put(key).value(value)).commit();
  if (done.succeeded) say('put', key, value, done.header.revision);
}

async function main() {
  const [prefix, endpoints, authority, certificate, key] = process.argv.slice(2);
  const options = {
    hosts: endpoints.split(',').map(endpoint => (authority ? 'https://' : 'http://') + endpoint),
    defaultCallOptions: call => (call.isStream ? {} : { deadline: Date.now() + ATTEMPT_MS }),
  };
  if (authority) {
    options.credentials = { rootCertificate: fs.readFileSync(authority), certChain: fs.readFileSync(certificate), privateKey: fs.readFileSync(key) };
  }
  const client = new Etcd3(options);
  const orders = readline.createInterface({ input: process.stdin });
  orders.on('line', () => { stopping = true; });
  await write(client, prefix);
  process.exit(0);
}

main().catch(error => {
  say('fatal', error.stack.replace(/\s+/g, ' '));
  process.exit(1);
});
