// Modules of devices, and their twins. This SDK cannot replace twins, except through a twin object's own update.

'use strict';

const { promisify } = require('node:util');

const { KEY_1, KEY_2, assert, body, keys, main, refused, same, step, thumbprints } = require('./steps');

// The name of its errors follows the status, so that a module that exists is a device that exists.
const EXISTS = ['DeviceAlreadyExistsError', 409, 'ModuleAlreadyExistsOnDevice'];
const GONE = ['Error', 404, 'ModuleNotFound'];
const OLD = ['InvalidEtagError', 412, 'PreconditionFailed'];

main(async (hub) => {
  const deviceId = 'device';
  await hub.create({ deviceId });

  await step("create with keys of the hub's making", async () => {
    const module = await body(hub.addModule({ deviceId, moduleId: 'generated', managedBy: 'somebody' }));
    same([module.deviceId, module.moduleId, module.managedBy], [deviceId, 'generated', 'somebody']);
    assert(module.authentication.symmetricKey.primaryKey && module.etag);
  });

  await step('create with own keys', async () => {
    const module = await body(hub.addModule({ deviceId, moduleId: 'keys', authentication: keys }));
    same(module.authentication.symmetricKey.primaryKey, KEY_1);
  });

  await step('create with thumbprints', async () => {
    await hub.addModule({ deviceId, moduleId: 'x509', authentication: thumbprints });
    const { authentication } = await body(hub.getModule(deviceId, 'x509'));
    same(authentication.x509Thumbprint, thumbprints.x509Thumbprint);
  });

  await step('create what exists', () => refused(...EXISTS, () => hub.addModule({ deviceId, moduleId: 'keys' })));

  await step('create on a device that does not exist', () =>
    // So it is with shared access signatures; with Entra ID it would be 404.
    refused('UnauthorizedError', 401, 'IotHubUnauthorizedAccess', () =>
      hub.addModule({ deviceId: 'no-such-device', moduleId: 'm' })));

  await step('read', async () => {
    same((await body(hub.getModule(deviceId, 'keys'))).authentication.symmetricKey.secondaryKey, KEY_2);
  });

  await step('read what does not exist', () => refused(...GONE, () => hub.getModule(deviceId, 'no-such-module')));

  await step('list', async () => {
    const ids = (await body(hub.getModulesOnDevice(deviceId))).map((module) => module.moduleId);
    same(ids.sort(), ['generated', 'keys', 'x509']);
  });

  await step('update', async () => {
    const module = await body(hub.getModule(deviceId, 'keys'));
    const updated = await body(hub.updateModule({ ...module, managedBy: 'me' }));
    same(updated.managedBy, 'me');
    assert(updated.etag !== module.etag);
  });

  await step('update in an old version', async () => {
    const module = await body(hub.getModule(deviceId, 'keys'));
    await refused(...OLD, () => hub.updateModule({ ...module, etag: 'b2xk' }));
  });

  await step('read the twin', async () => {
    const twin = await body(hub.getModuleTwin(deviceId, 'keys'));
    same([twin.deviceId, twin.moduleId], [deviceId, 'keys']);
  });

  await step('patch the twin', async () => {
    const { etag } = await body(hub.getModuleTwin(deviceId, 'keys'));
    const patch = { tags: { site: 'north' }, properties: { desired: { interval: 5 } } };
    const twin = await body(hub.updateModuleTwin(deviceId, 'keys', patch, etag));
    same([twin.tags, twin.properties.desired.interval], [{ site: 'north' }, 5]);
  });

  await step('patch the twin in an old version', () =>
    refused(...OLD, () => hub.updateModuleTwin(deviceId, 'keys', { tags: { a: 1 } }, 'b2xk')));

  await step('delete in an old version', async () => {
    const module = { ...(await body(hub.getModule(deviceId, 'keys'))), etag: 'b2xk' };
    // Only with a callback does the SDK take a whole module here.
    await refused(...OLD, () => promisify((done) => hub.removeModule(module, done))());
  });

  await step('delete', async () => {
    await hub.removeModule(deviceId, 'keys');
    await refused(...GONE, () => hub.getModule(deviceId, 'keys'));
  });

  await step('delete what does not exist', () => refused(...GONE, () => hub.removeModule(deviceId, 'no-such-module')));
});
