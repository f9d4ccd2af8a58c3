// Direct methods. The devices are there already: one that answers, with a module, and one that is offline.

'use strict';

const { Client } = require('azure-iothub');
const { connect, main, refused, same, step } = require('./steps');

main(async () => {
  const hub = connect(Client);
  const method = (methodName, payload, responseTimeoutInSeconds = 10) => ({
    methodName,
    payload,
    responseTimeoutInSeconds,
    connectTimeoutInSeconds: 0,
  });
  const call = async (...target) => (await hub.invokeDeviceMethod(...target)).result;

  await step('call a method', async () => {
    const payload = { list: [1, 'a', null], text: 'zwölf' };
    same(await call('device', method('echo', payload)), { status: 200, payload });
  });

  await step('call a method that fails on the device', async () => {
    same(await call('device', method('fail')), { status: 500, payload: { why: 'because' } });
  });

  await step('call a method of a module', async () => {
    same(await call('device', 'module', method('echo', 'hello')), { status: 200, payload: 'hello' });
  });

  await step('call a device that is offline', () =>
    refused('Error', 404, 'DeviceNotOnline', () => hub.invokeDeviceMethod('offline', method('echo'))));

  await step('call a device that does not exist', () =>
    refused('DeviceNotFoundError', 404, 'DeviceNotFound', () => hub.invokeDeviceMethod('no-such-device', method('echo'))));

  await step('call with too short a time limit', () =>
    refused('ArgumentError', 400, 'ArgumentInvalid', () => hub.invokeDeviceMethod('device', method('echo', null, 4))));
});
