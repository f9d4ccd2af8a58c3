// A device that connects, and goes on until it is ended: what happens to it is one line of JSON each.
//
// It reads its twin, follows its desired properties, answers a method by what it heard, and comes back when it
// was cut off. Whoever plays the back end reads the lines.

'use strict';

const fs = require('node:fs');
const { promisify } = require('node:util');
const { NoRetry } = require('azure-iot-common');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const ca = fs.readFileSync(process.env.NODE_EXTRA_CA_CERTS, 'utf8');
const pause = promisify(setTimeout);

function tell(event, details = {}) {
  console.log(JSON.stringify({ event, ...details }));
}

// Connects, and returns when it was cut off. An error says why it was not let in.
async function stay() {
  const device = Client.fromConnectionString(process.env.DEVICE_CONNECTION_STRING, Mqtt);
  device.setRetryPolicy(new NoRetry());
  await device.setOptions({ ca });
  const gone = new Promise((done) => {
    device.on('disconnect', done);
    device.on('error', done);
  });
  await device.open();
  device.onDeviceMethod('reboot', (call, answer) => {
    tell('method', { name: call.methodName, payload: call.payload });
    answer.send(207, { heard: call.payload }, () => {});
  });
  const twin = await device.getTwin();
  const { desired, reported } = JSON.parse(JSON.stringify(twin.properties));
  twin.on('properties.desired', (patch) => {
    // The SDK begins with the whole of it.
    if (patch.$version === desired.$version) return;
    tell('desired', { patch });
    twin.properties.reported.update({ following: patch.speed }, () => tell('reported'));
  });
  await device.sendEvent(new Message('hello'));
  tell('connected', { twin: { desired, reported } });
  await gone;
  tell('disconnected');
  device.removeAllListeners();
}

async function main() {
  let refused = false;
  for (;;) {
    try {
      await stay();
      refused = false;
    } catch (error) {
      if (error.name !== 'UnauthorizedError') throw error;
      if (!refused) tell('refused');
      refused = true;
      await pause(200);
    }
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
