// Digital twins. The devices are there already: one that answers and has reported, and one that is offline.

'use strict';

const { DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const { ADDRESS, HUB, assert, body, main, same, step } = require('./steps');

const add = (path, value) => [{ op: 'add', path, value }];

// Another library is below this client, with errors of its own.
async function refused(status, code, call) {
  const error = await call().then(
    (answer) => assert.fail(`not refused: ${JSON.stringify(answer)}`),
    (failure) => failure,
  );
  if (!error.response) throw error;
  same([error.statusCode, error.response.headers.get('iothub-errorcode')], [status, code]);
}

main(async (registry) => {
  const hub = new DigitalTwinClient(new IoTHubTokenCredentials(HUB));
  hub._pl.baseUri = `https://${ADDRESS}`;
  const desired = async () => (await body(registry.getTwin('device'))).properties.desired;
  const etag = async () => (await body(registry.getTwin('device'))).etag;

  await step('read', async () => {
    const twin = await hub.getDigitalTwin('device');
    same([twin.$dtId, twin.$metadata.$model, twin.temperature], ['device', '', 21]);
    same(twin._response.headers.get('etag'), `"${await etag()}"`);
  });

  await step('read what does not exist', () =>
    refused(404, 'DeviceNotFound', () => hub.getDigitalTwin('no-such-device')));

  await step('patch a property', async () => {
    await hub.updateDigitalTwin('device', add('/target', 23));
    same((await desired()).target, 23);
    same((await hub.getDigitalTwin('device')).$metadata.target.desiredValue, 23);
  });

  await step('patch a component', async () => {
    await hub.updateDigitalTwin('device', add('/thermostat/limit', 30));
    same((await desired()).thermostat, { __t: 'c', limit: 30 });
  });

  await step('patch in this version', async () => {
    await hub.updateDigitalTwin('device', add('/target', 24), `"${await etag()}"`);
    same((await desired()).target, 24);
  });

  await step('patch in an old version', () =>
    refused(412, 'PreconditionFailed', () => hub.updateDigitalTwin('device', add('/target', 25), '"b2xk"')));

  await step('patch with an unknown step', () =>
    refused(400, 'ArgumentInvalid', () =>
      hub.updateDigitalTwin('device', [{ op: 'test', path: '/target', value: 24 }])));

  await step('call a command', async () => {
    const answer = await hub.invokeCommand('device', 'echo', { text: 'zwölf' });
    same([answer.body, answer.xMsCommandStatuscode], [{ text: 'zwölf' }, 200]);
  });

  await step('call a command of a component', async () => {
    const times = { connectTimeoutInSeconds: 0, responseTimeoutInSeconds: 10 };
    const answer = await hub.invokeComponentCommand('device', 'thermostat', 'echo', { n: 1 }, times);
    same([answer.body, answer.xMsCommandStatuscode], [{ n: 1 }, 200]);
  });

  await step('call a device that is offline', () =>
    refused(404, 'DeviceNotOnline', () => hub.invokeCommand('offline', 'echo', {})));
});
