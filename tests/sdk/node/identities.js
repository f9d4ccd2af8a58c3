// The life of device identities. This SDK updates and deletes in any version, and lists all there are.

'use strict';

const { Registry } = require('azure-iothub');
const { HUB, KEY_1, KEY_2, assert, body, connect, keys, main, refused, same, step, thumbprints } = require('./steps');

const UNKNOWN = 'no-such-device';
const ODD = "odd#%25:id_(1)+*!',=@;$?";
const GONE = ['DeviceNotFoundError', 404, 'DeviceNotFound'];

main(async (hub) => {
  await step("create with keys of the hub's making", async () => {
    const device = await body(hub.create({ deviceId: 'generated' }));
    same([device.deviceId, device.status], ['generated', 'enabled']);
    const { primaryKey, secondaryKey } = device.authentication.symmetricKey;
    assert(Buffer.from(primaryKey, 'base64').length >= 16 && primaryKey !== secondaryKey);
    assert(device.etag && device.generationId);
  });

  await step('create with own keys', async () => {
    const device = await body(
      hub.create({ deviceId: 'keys', authentication: keys, status: 'disabled', statusReason: 'not yet' }),
    );
    same(device.authentication.symmetricKey, { primaryKey: KEY_1, secondaryKey: KEY_2 });
    same([device.status, device.statusReason], ['disabled', 'not yet']);
  });

  await step('create with thumbprints', async () => {
    await hub.create({ deviceId: 'x509', authentication: thumbprints });
    const { authentication } = await body(hub.get('x509'));
    same([authentication.type, authentication.x509Thumbprint], ['selfSigned', thumbprints.x509Thumbprint]);
  });

  await step('create with a certificate authority', async () => {
    await hub.create({ deviceId: 'ca', authentication: { type: 'certificateAuthority' } });
    same((await body(hub.get('ca'))).authentication.type, 'certificateAuthority');
  });

  await step('create with an odd id', async () => {
    same((await body(hub.create({ deviceId: ODD }))).deviceId, ODD);
    same((await body(hub.get(ODD))).deviceId, ODD);
  });

  await step('create an edge device and its child', async () => {
    const gateway = await body(hub.create({ deviceId: 'gateway', capabilities: { iotEdge: true } }));
    assert(gateway.capabilities.iotEdge && gateway.deviceScope);
    const child = await body(hub.create({ deviceId: 'child', deviceScope: gateway.deviceScope }));
    same(child.deviceScope, gateway.deviceScope);
  });

  await step('create what exists', async () => {
    await refused('DeviceAlreadyExistsError', 409, 'DeviceAlreadyExists', () => hub.create({ deviceId: 'keys' }));
    same((await body(hub.get('keys'))).authentication.symmetricKey.primaryKey, KEY_1);
  });

  await step('create something invalid', async () => {
    const reason = { deviceId: 'reason', statusReason: 'x'.repeat(129) };
    await refused('ArgumentError', 400, 'ArgumentInvalid', () => hub.create(reason));
  });

  await step('read', async () => {
    const device = await body(hub.get('keys'));
    same([device.deviceId, device.status, device.connectionState], ['keys', 'disabled', 'Disconnected']);
  });

  await step('read what does not exist', () => refused(...GONE, () => hub.get(UNKNOWN)));

  await step('update keeps the keys', async () => {
    const device = await body(hub.get('generated'));
    const updated = await body(hub.update({ ...device, status: 'disabled', statusReason: 'stolen' }));
    same([updated.status, updated.statusReason], ['disabled', 'stolen']);
    const read = await body(hub.get('generated'));
    same(read.authentication.symmetricKey, device.authentication.symmetricKey);
    same(read.etag, updated.etag);
    assert(updated.etag !== device.etag);
  });

  await step('certificates go back as they came', async () => {
    for (const deviceId of ['x509', 'ca']) {
      const device = await body(hub.get(deviceId));
      await hub.update({ ...device, statusReason: 'moved' });
      const read = await body(hub.get(deviceId));
      same([read.statusReason, read.authentication], ['moved', device.authentication]);
    }
  });

  await step('an update without keys makes new ones', async () => {
    const old = (await body(hub.get('generated'))).authentication.symmetricKey;
    const updated = await body(hub.update({ deviceId: 'generated', status: 'disabled' }));
    const { primaryKey, secondaryKey } = updated.authentication.symmetricKey;
    assert(primaryKey && primaryKey !== old.primaryKey && secondaryKey !== old.secondaryKey);
  });

  await step('update to another authentication', async () => {
    const device = await body(hub.get('x509'));
    await hub.update({ ...device, authentication: keys });
    same((await body(hub.get('x509'))).authentication.symmetricKey.secondaryKey, KEY_2);
  });

  await step('update in any version', async () => {
    const device = await body(hub.get('keys'));
    await hub.update({ ...device, status: 'enabled' });
    same((await body(hub.update({ ...device, status: 'disabled' }))).status, 'disabled');
  });

  await step('update what does not exist', () =>
    refused(...GONE, () => hub.update({ deviceId: UNKNOWN, authentication: keys })));

  await step('list', async () => {
    const ids = (await body(hub.list())).map((device) => device.deviceId).sort();
    same(ids, ['generated', 'keys', 'x509', 'ca', ODD, 'gateway', 'child'].sort());
  });

  await step('count devices', async () => {
    const counts = await body(hub.getRegistryStatistics());
    same([counts.totalDeviceCount, counts.disabledDeviceCount], [7, 2]);
  });

  await step('delete', async () => {
    await hub.delete('keys');
    await hub.delete('ca');
    await refused(...GONE, () => hub.get('keys'));
    await refused(...GONE, () => hub.getTwin('ca'));
  });

  await step('delete what does not exist', () => refused(...GONE, () => hub.delete(UNKNOWN)));

  await step('a new device of an old name is another one', async () => {
    const old = (await body(hub.get('x509'))).generationId;
    await hub.delete('x509');
    assert((await body(hub.create({ deviceId: 'x509' }))).generationId !== old);
  });

  await step('call with a wrong key', async () => {
    const stranger = connect(Registry, HUB.replace(/SharedAccessKey=[^;]+/, `SharedAccessKey=${KEY_1}`));
    await refused('UnauthorizedError', 401, 'IotHubUnauthorizedAccess', () => stranger.get('generated'));
  });
});
