// What all scenarios share: the hub, and steps that tell how they went.
//
// A step runs when it is awaited. Each prints one line of JSON: its name, and what went wrong if something
// did. The next step runs either way, so that one report tells everything.

'use strict';

const assert = require('node:assert');
const https = require('node:https');
const { Registry } = require('azure-iothub');

const KEY_1 = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const KEY_2 = 'HxAdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=';
const [, host, port] = process.env.HUB_CONNECTION_STRING.match(/HostName=([^:;]+):(\d+)/);
// The SDK takes no port in the host's name, so its connections are led to the port.
const HUB = process.env.HUB_CONNECTION_STRING.replace(`${host}:${port}`, host);

class ToPort extends https.Agent {
  createConnection(options, done) {
    return super.createConnection({ ...options, port }, done);
  }
}

function onPort(client) {
  client._restApiClient.setOptions({ http: { agent: new ToPort() } });
  return client;
}

function connect(Client, connectionString = HUB) {
  return onPort(Client.fromConnectionString(connectionString));
}

async function step(name, run) {
  const result = { step: name };
  try {
    await run();
  } catch (error) {
    const line = (error.stack || '').split('\n').find((text) => text.includes('/sdk/node/') && !text.includes('steps.js'));
    result.error = `${error.name}: ${error.message} (${(line || '').trim()})`;
  }
  console.log(JSON.stringify(result));
}

// The SDK's own error, with this status and the hub's name for it.
async function refused(name, status, code, call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    if (!error.response) throw error;
    same([error.name, error.response.statusCode], [name, status]);
    same(error.response.headers['iothub-errorcode'], code);
    return error;
  }
  return assert.fail(`not refused: ${JSON.stringify(answer.responseBody)}`);
}

function same(one, other) {
  assert.deepStrictEqual(one, other);
}

// What `look` finds, once it finds something. Whoever runs the script limits the time.
async function until(look) {
  for (;;) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// What the hub sent, without what the SDK adds to it.
async function body(call) {
  return JSON.parse(JSON.stringify((await call).responseBody, (key, value) => (key === '_registry' ? undefined : value)));
}

const ADDRESS = `${host}:${port}`;
const keys = { type: 'sas', symmetricKey: { primaryKey: KEY_1, secondaryKey: KEY_2 } };
const thumbprints = {
  type: 'selfSigned',
  x509Thumbprint: { primaryThumbprint: 'A'.repeat(40), secondaryThumbprint: 'B'.repeat(40) },
};

function main(scenario) {
  scenario(connect(Registry)).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}

module.exports = {
  ADDRESS,
  HUB,
  KEY_1,
  KEY_2,
  assert,
  body,
  connect,
  host,
  keys,
  main,
  onPort,
  refused,
  same,
  step,
  thumbprints,
  until,
};
