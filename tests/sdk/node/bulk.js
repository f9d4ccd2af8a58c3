// Many changes in one call. This SDK has no bulk changes of twins, and one mode for a whole call.

'use strict';

const { KEY_1, assert, body, keys, main, refused, same, step } = require('./steps');

const item = (deviceId, more) => ({ deviceId, status: 'enabled', authentication: keys, ...more });
const gone = (hub, device) => refused('DeviceNotFoundError', 404, 'DeviceNotFound', () => hub.get(device));

// To this SDK a call in which something failed is a call that failed; the result is in the error.
async function failures(call) {
  let result;
  try {
    result = await body(call);
  } catch (error) {
    same([error.name, error.response.statusCode], ['ArgumentError', 400]);
    result = JSON.parse(error.responseBody);
  }
  same(result.isSuccessful, result.errors.length === 0);
  return result.errors.map((error) => [error.deviceId, String(error.errorCode).slice(0, 3)]);
}

main(async (hub) => {
  const status = async (device) => (await body(hub.get(device))).status;

  await step('create many', async () => {
    same(await failures(hub.addDevices(Array.from({ length: 100 }, (_, number) => item(`device-${number}`)))), []);
    same((await body(hub.get('device-99'))).authentication.symmetricKey.primaryKey, KEY_1);
  });

  await step('mixed outcomes', async () => {
    same(await failures(hub.addDevices([item('new'), item('device-1')])), [['device-1', '409']]);
    same(await status('new'), 'enabled');
  });

  await step('update many', async () => {
    const items = ['device-1', 'device-2'].map((device) => item(device, { status: 'disabled' }));
    same(await failures(hub.updateDevices(items, true)), []);
    same([await status('device-1'), await status('device-2')], ['disabled', 'disabled']);
  });

  await step('update some in an old version', async () => {
    const { etag } = await body(hub.get('device-3'));
    const items = [
      item('device-3', { status: 'disabled', eTag: etag }),
      item('device-4', { status: 'disabled', eTag: 'b2xk' }),
    ];
    same(await failures(hub.updateDevices(items, false)), [['device-4', '412']]);
    same([await status('device-3'), await status('device-4')], ['disabled', 'enabled']);
  });

  await step('delete some in an old version', async () => {
    const { etag } = await body(hub.get('device-5'));
    const items = [item('device-5', { eTag: etag }), item('device-6', { eTag: 'b2xk' })];
    same(await failures(hub.removeDevices(items, false)), [['device-6', '412']]);
    await gone(hub, 'device-5');
  });

  await step('delete many', async () => {
    same(await failures(hub.removeDevices([item('device-7'), item('device-8')], true)), []);
    await gone(hub, 'device-7');
  });

  await step('too many', async () => {
    const many = Array.from({ length: 101 }, (_, number) => item(`more-${number}`));
    // Refused before it is sent.
    await assert.rejects(async () => hub.addDevices(many), { name: 'ArgumentError' });
    await gone(hub, 'more-0');
  });
});
